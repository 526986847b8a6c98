"""Sends DICOM objects to a DICOMweb service by STOW-RS, one object in each request.

Sending an object again does no harm, because its SOP Instance UID stays the same.
"""

import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from maskrelay.errors import SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.sources.credential_kinds import WebCredential
from maskrelay.sources.dicom_json import first_value
from maskrelay.sources.web_connection import WebConnection

_JSON = "application/dicom+json"
#: The sequences of the response: the objects that were stored, and those that were not.
_STORED, _FAILED = "00081199", "00081198"
_UID, _REASON = "00081155", "00081197"
_LONGEST_BYTES = 1 << 20
#: An archive may answer only when it has processed the object.
_ANSWER_S = 60.0
#: Reasons of a failure (PS3.18, I.2): the object is there already; and the archive may accept the object later.
_DUPLICATE, _PROCESSING = 0x0111, 0x0110
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
#: Statuses below 500 after which an operator, or time, may help.
_LATER = frozenset({401, 403, 404, 407, 408, 425, 429})


@dataclass(frozen=True, slots=True)
class StowResult:
    """What became of one object: it is in the archive, the archive refuses it for good, or it can be sent again."""

    state: Literal["stored", "refused", "later"]
    #: `ok`, or a short reason without a UID.
    reason: str
    status: int | None = None


class StowSender:
    """A sender with one credential. It may be used from any thread."""

    def __init__(self, credential: WebCredential) -> None:
        self._connection = WebConnection(credential)

    def send(self, root: str, uid: str, content: Iterable[bytes], length: int) -> StowResult:
        """Send one object of `length` bytes to the service at `root`, an `https` URL that ends with `/`.

        An error that `content` raises is passed on.
        """
        boundary = secrets.token_hex(16)
        begin = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        end = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Accept": _JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(begin) + length + len(end)),
        }
        try:
            with self._connection.response(
                "POST", f"{root}studies", headers, content=chain((begin,), content, (end,)), read_s=_ANSWER_S
            ) as response:
                return stow_result(response.status, _read(response.iter_stream()), uid)
        except (SourceForbidden, SourceNotFound):
            return StowResult("later", "forbidden_address")
        except SourceUnavailable as error:
            return StowResult("later", error.reason or "unavailable")


def stow_result(status: int, body: bytes, uid: str) -> StowResult:
    """Return what the response says about the object `uid`.

    The status alone says too little: 202 and 409 name the objects that failed, and some services answer 400 although
    they have stored some objects.
    """
    answer = _parsed(body)
    if answer is not None:
        if any(first_value(one, _UID) == uid for one in _sequence(answer, _STORED)):
            return StowResult("stored", "ok", status)
        for one in _sequence(answer, _FAILED):
            if first_value(one, _UID) in {uid, None}:
                return _of_failure(first_value(one, _REASON), status)
        if status == 200:
            return StowResult("stored", "ok", status)
    if status in _LATER or status >= 500 or status < 300:
        return StowResult("later", "answer_unreadable" if status < 300 else f"status_{status}", status)
    return StowResult("refused", f"status_{status}", status)


def _of_failure(reason: Any, status: int) -> StowResult:
    if reason == _DUPLICATE:
        return StowResult("stored", "ok", status)
    word = f"failure_{reason:04x}" if isinstance(reason, int) and 0 <= reason < 0x10000 else "failure"
    later = reason == _PROCESSING or reason in _OUT_OF_RESOURCES
    return StowResult("later" if later else "refused", word, status)


def _read(chunks: Iterator[bytes]) -> bytes:
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) > _LONGEST_BYTES:
            raise SourceUnavailable(reason="answer")
    return bytes(read)


def _parsed(body: bytes) -> dict[str, Any] | None:
    """Return the response as DICOM JSON. Some services put the data set into a list."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    return answer if isinstance(answer, dict) else None


def _sequence(answer: dict[str, Any], tag: str) -> list[Any]:
    found = answer.get(tag)
    values = found.get("Value") if isinstance(found, dict) else None
    return values if isinstance(values, list) else []
