"""The translation of Azure's error codes, and of failed connections, into storage errors.

The reasons of failed connections have the same names as those of boto3.
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from maskrelay.errors import ObjectExists, ObjectMissing, StorageError
from maskrelay.storage.protocol import unavailable

#: The codes for a missing blob. A missing container has another code.
_MISSING = frozenset({"BlobNotFound", "PathNotFound"})
#: Statuses that ask the client to retry later, although they are below 500.
_LATER = frozenset({408, 409, 425, 429})
#: 400 and 404 that a repeated upload in blocks does not get, if another writer of the blob caused them.
_LATER_CODES = frozenset({"InvalidBlockList", "ContainerBeingDeleted"})


@contextmanager
def azure_errors() -> Iterator[None]:
    """Translate an error of httpx, whose text contains the URL."""
    try:
        yield
    except (httpx.TransportError, httpx.DecodingError, OSError) as error:
        reason, refused = _of_connection(error)
        raise unavailable(reason, refused=refused) from None


def azure_error(response: httpx.Response, *, is_create: bool = False) -> StorageError:
    """Return the error for a response whose status is not a success.

    409 and 412 in answer to a conditional create are one error. The code is in a header, so the answer to HEAD has it
    too. A 404 without a code is not Azure's answer, and says nothing about the blob.
    """
    status = response.status_code
    code = response.headers.get("x-ms-error-code", "")
    if is_create and status in {409, 412}:
        return ObjectExists()
    if status == 404 and code in _MISSING:
        return ObjectMissing()
    word = code if re.fullmatch("[A-Za-z0-9]{1,64}", code) else str(status)
    later = status in _LATER or code in _LATER_CODES
    return unavailable(word, refused=400 <= status < 500 and not later)


def _of_connection(error: Exception) -> tuple[str, bool]:
    """Return the reason, and whether the same request would fail again until an operator changes something."""
    if isinstance(error, httpx.ConnectTimeout):
        return "ConnectTimeoutError", False
    if isinstance(error, httpx.TimeoutException):
        return "ReadTimeoutError", False
    if isinstance(error, httpx.ProxyError):
        return "ProxyConnectionError", False
    if isinstance(error, httpx.ConnectError):
        is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error) or isinstance(error.__cause__, ssl.SSLError)
        return ("SSLError", True) if is_untrusted else ("EndpointConnectionError", False)
    return "ConnectionClosedError", False
