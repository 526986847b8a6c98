"""What the response of a DICOMweb service says about an object that was sent to it."""

import json
from typing import Any

import pytest

from maskrelay.sources.stow_sender import StowResult, stow_result

UID = "2.25.1"


def answer(stored: tuple[str, ...] = (), failed: tuple[tuple[str | None, int | None], ...] = ()) -> bytes:
    def item(uid: str | None, reason: int | None = None) -> dict[str, Any]:
        named = {} if uid is None else {"00081155": {"vr": "UI", "Value": [uid]}}
        return named | ({} if reason is None else {"00081197": {"vr": "US", "Value": [reason]}})

    lists = {
        "00081199": {"vr": "SQ", "Value": [item(uid) for uid in stored]},
        "00081198": {"vr": "SQ", "Value": [item(uid, reason) for uid, reason in failed]},
    }
    return json.dumps({tag: found for tag, found in lists.items() if found["Value"]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "state", "reason"),
    [
        (200, answer((UID,)), "stored", "ok"),
        (200, b"{}", "stored", "ok"),
        (200, b"[" + answer((UID,)) + b"]", "stored", "ok"),
        (202, answer((UID,), (("2.25.2", 0xA700),)), "stored", "ok"),
        (202, answer(("2.25.2",), ((UID, 0xA700),)), "later", "failure_a700"),
        (202, answer(("2.25.2",), ((UID, 0xC000),)), "refused", "failure_c000"),
        (409, answer((), ((UID, 0xA900),)), "refused", "failure_a900"),
        (409, answer((), ((UID, 0x0110),)), "later", "failure_0110"),
        (409, answer((), ((UID, 0x0111),)), "stored", "ok"),
        (409, answer((), ((None, None),)), "refused", "failure"),
        (400, answer((UID,)), "stored", "ok"),
        (400, answer(), "refused", "status_400"),
        (409, b"", "refused", "status_409"),
        (413, b"<html>", "refused", "status_413"),
        (200, b"<html>", "later", "answer_unreadable"),
        (200, b"[" * 100_000, "later", "answer_unreadable"),
        (202, b'{"00081198": {"Value": [{"00081155": {"Value": [[1]]}}]}}', "refused", "failure"),
        (202, b"", "later", "answer_unreadable"),
        (202, answer(), "later", "answer_unreadable"),
        (401, b"", "later", "status_401"),
        (429, b"", "later", "status_429"),
        (503, b"", "later", "status_503"),
        (200, json.dumps({"00081198": {"Value": [None, 7]}, "00081199": {"Value": 7}}).encode(), "refused", "failure"),
    ],
)
def test_an_object_is_stored_refused_or_sent_again(status: int, body: bytes, state: str, reason: str) -> None:
    assert stow_result(status, body, UID) == StowResult(state, reason, status)  # type: ignore[arg-type]
