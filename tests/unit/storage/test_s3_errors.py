"""What an S3 server answers is either a refusal, which an operator has to end, or a failure that may pass."""

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from maskrelay.errors import StorageUnavailable
from maskrelay.storage.s3_errors import s3_errors


def answered(status: int, code: str) -> StorageUnavailable:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(StorageUnavailable) as failed, s3_errors():
        raise ClientError(response, "PutObject")
    return failed.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (501, "NotImplemented"),  # the server does not know If-None-Match
        (400, "InvalidRequest"),  # object lock wants a checksum with each put
        (403, "AccessDenied"),
        (404, "NoSuchBucket"),
    ],
)
def test_a_refusal_is_told_apart_and_named(status: int, code: str) -> None:
    assert (answered(status, code).refused, answered(status, code).reason) == (True, code)


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (429, "TooManyRequests")])
def test_a_failure_that_may_pass_is_no_refusal(status: int, code: str) -> None:
    assert not answered(status, code).refused


def test_a_request_that_nobody_could_sign_is_refused() -> None:
    with pytest.raises(StorageUnavailable) as failed, s3_errors():
        raise NoCredentialsError
    assert failed.value.refused is True


def test_a_code_that_could_carry_anything_is_not_repeated() -> None:
    assert answered(403, "no such key: patients/4711").reason == "unknown"
