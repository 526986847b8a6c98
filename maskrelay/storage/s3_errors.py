"""The translation of the errors of boto3 and obstore into storage errors.

obstore does not have an exception for each status. The status, the error code of the server, and the kind of a failed
connection are parsed from the text of its error. The reasons have the same names as those of boto3.
"""

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

#: The code for a missing object in a response with a body. A 404 without this code can be that of a proxy.
MISSING: Mapping[str, type[StorageError]] = {"NoSuchKey": ObjectMissing}
#: The same for a response to HEAD, which has no body and therefore no code.
MISSING_OF_HEAD: Mapping[str, type[StorageError]] = {**MISSING, "404": ObjectMissing}
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
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]*)</Code>")


@contextmanager
def s3_errors(meanings: Mapping[str, type[StorageError]] | None = None) -> Iterator[None]:
    """Translate an error of boto3 into the storage error for its S3 code.

    `meanings` contains the storage errors for some S3 codes. All other codes stand for StorageUnavailable. boto3's
    message contains the URL and the key. The new error does not.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _answered(status, code, meanings) from None
    except BotoCoreError as error:
        refused = isinstance(error, _UNSIGNED) or "CERTIFICATE_VERIFY_FAILED" in str(error)
        raise unavailable(type(error).__name__, refused=refused) from None
    except RuntimeError as error:  # boto3 raises this if the credentials have expired already when they are renewed
        if "expired" not in str(error):
            raise
        raise unavailable("CredentialRetrievalError") from None


def obstore_error(
    text: str, meanings: Mapping[str, type[StorageError]] | None, *, is_proxied: bool = False
) -> StorageError:
    """Return the storage error for the text of an error of obstore. `is_proxied` says that requests use a proxy."""
    if answer := _STATUS.search(text):
        status = answer[1]
        code = _CODE.search(text, answer.end())
        return _answered(int(status), code[1] if code else status, meanings)
    if "kind: Timeout" in text:
        return unavailable("ConnectTimeoutError" if "Connect," in text else "ReadTimeoutError")
    if "kind: Connect" in text:
        return unavailable("ProxyConnectionError" if is_proxied else "EndpointConnectionError")
    return unavailable("ConnectionClosedError" if "HttpError" in text else "ResponseParserError")


def needs_boto3(text: str) -> str | None:
    """Return why boto3 may be able to send a request that failed in obstore with this text, or None if it is not.

    There are two possible reasons. First, obstore uses rustls, which rejects certificates that OpenSSL accepts, such as
    a trusted self-signed certificate. Second, boto3 finds the region of a bucket if the configured region is wrong.
    """
    if "InvalidCertificate" in text:
        return "certificate"
    answer = _STATUS.search(text)
    moved = answer is not None and (answer[1] in {"301", "307"} or "<Code>AuthorizationHeaderMalformed<" in text)
    return "region" if moved or "BareRedirect" in text else None


def _answered(status: int, code: str, meanings: Mapping[str, type[StorageError]] | None) -> StorageError:
    """Return the error for a response with this status and S3 error code."""
    if meanings and code in meanings:
        return meanings[code]()
    word = code if re.fullmatch("[A-Za-z0-9]{1,64}", code) else "unknown"
    return unavailable(word, refused=_is_refusal(status, code))


def _is_refusal(status: int, code: str) -> bool:
    """Return whether the server would refuse the same request again.

    This is the case for the statuses 4xx and 501, except for errors that ask the client to retry later.
    """
    return status == 501 or (400 <= status < 500 and status not in _LATER and code not in _LATER_CODES)
