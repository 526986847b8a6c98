"""The translation of boto3's errors into storage errors."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from maskrelay.errors import ObjectExists, ObjectMissing, StorageError
from maskrelay.storage.protocol import unavailable

MISSING: Mapping[str, type[StorageError]] = {"NoSuchKey": ObjectMissing, "404": ObjectMissing}
TAKEN: Mapping[str, type[StorageError]] = {
    "PreconditionFailed": ObjectExists,
    "ConditionalRequestConflict": ObjectExists,
    "412": ObjectExists,
    "409": ObjectExists,
}
#: 4xx statuses, and error codes of S3, that ask the client to retry later.
_LATER = frozenset({408, 409, 425, 429})
_LATER_CODES = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"})
#: The errors for a request that cannot be signed, because there are no credentials.
_UNSIGNED = (NoCredentialsError, PartialCredentialsError, ProfileNotFound)


@contextmanager
def s3_errors(meanings: Mapping[str, type[StorageError]] | None = None) -> Iterator[None]:
    """Translate an error of boto3 into the error that `meanings` has for its S3 code, or else into StorageUnavailable.

    The new error does not contain the URL and the key that are in boto3's message.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if meanings and code in meanings:
            raise meanings[code] from None
        word = code if re.fullmatch("[A-Za-z0-9]{1,64}", code) else "unknown"
        raise unavailable(word, refused=_is_refusal(error, code)) from None
    except BotoCoreError as error:
        refused = isinstance(error, _UNSIGNED) or "CERTIFICATE_VERIFY_FAILED" in str(error)
        raise unavailable(type(error).__name__, refused=refused) from None


def _is_refusal(error: ClientError, code: str) -> bool:
    """Return whether the server refuses the request and would refuse it again.

    These are the statuses 4xx and 501, except those that ask the client to retry later.
    """
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == 501 or (400 <= status < 500 and status not in _LATER and code not in _LATER_CODES)
