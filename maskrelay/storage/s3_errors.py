"""What boto3's errors mean for an object."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from maskrelay.errors import ObjectExists, ObjectMissing, StorageError
from maskrelay.storage.protocol import unavailable

MISSING: Mapping[str, type[StorageError]] = {"NoSuchKey": ObjectMissing, "404": ObjectMissing}
TAKEN: Mapping[str, type[StorageError]] = {
    "PreconditionFailed": ObjectExists,
    "ConditionalRequestConflict": ObjectExists,
    "412": ObjectExists,
    "409": ObjectExists,
}


@contextmanager
def s3_errors(meanings: Mapping[str, type[StorageError]] | None = None) -> Iterator[None]:
    """Turn an error of boto3 into what it means for the key, else into StorageUnavailable.

    `meanings` are by S3's error code. The URL and the key that boto3's texts hold stay out.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if meanings and code in meanings:
            raise meanings[code] from None
        raise unavailable(code if re.fullmatch("[A-Za-z0-9]{1,64}", code) else "unknown") from None
    except BotoCoreError as error:
        raise unavailable(type(error).__name__) from None
