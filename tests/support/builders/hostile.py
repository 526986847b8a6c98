"""What another program may have written into the object store, under keys of the service and under others."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from maskrelay.contract.records import keys
from maskrelay.contract.records.events import EVENT_TYPES, event_id
from maskrelay.contract.records.job import Item, Submission

STRANGER = "z" * 26
PART = "0000000001000000-0123abcd-000001"
AUDIT = "audit/2026-11-25T09"


def nested(depth: int) -> dict[str, Any]:
    """Return a JSON object inside this many others."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def poisoned(submission: Submission, depth: int = 250) -> bytes:
    """Return the submission as a version without a limit on the depth of metadata stored it."""
    return json.dumps({**submission.model_dump(mode="json"), "metadata": nested(depth)}).encode()


def record_keys(job: str) -> list[str]:
    """Return the keys of every kind of record that a job has."""
    events = [event_id(job, one) for one in EVENT_TYPES]
    return [
        keys.accepted(job),
        keys.result(job),
        keys.gone(job),
        keys.cancel(job),
        keys.halted(job),
        keys.frame_part(job, 0),
        keys.item_part(job, 0),
        keys.survey_part(job, 0),
        keys.window(job, 0),
        keys.outcome_part(job, PART),
        keys.assembled_item(job, 0),
        keys.event(job, events[0]),
        keys.event(job, events[2]),
        keys.delivered(job, events[0]),
        keys.delivered(job, events[2]),
    ]


def strange_keys(job: str) -> list[str]:
    """Return keys that the service does not use: with other names, in other forms, and marks without what they mark."""
    return [
        keys.outcomes(job) + "copy-of-part.ndjson",
        keys.outcome_part(job, PART.replace("-000001", "-1000001")),
        keys.outcomes(job) + f"{PART}.ndjson/inner",
        keys.frames(job) + "notes.txt",
        keys.frames(job) + "000007.ndjson",
        f"jobs/{job}/plan/x.ndjson",
        f"jobs/{job}/redriven/{STRANGER}",
        f"jobs/{job}/redriven/not-an-id",
        f"jobs/{job}/events/evt_x.json",
        f"jobs/{job}/README",
        keys.final(job, "f" * 16, "items.ndjson"),
        keys.pack(job, PART),
        keys.artifacts(job) + "0/x.answer",
        keys.items(job, "0" * 16),
        keys.live(STRANGER),
        keys.live_cancel(STRANGER),
        "live/notes.txt",
        "live/a/b",
        keys.removing(STRANGER),
        keys.removing(job),
        "removing/notes.txt",
        "removing/a/b",
        keys.sweeping(STRANGER),
        keys.sweeping(job),
        "sweeping/notes.txt",
        keys.result(STRANGER),
        keys.accepted(STRANGER),
        keys.gone(STRANGER),
        "jobs/notes.txt",
        "jobs/not-an-id/result.json",
        "jobs/not-an-id/gone.json",
        keys.upload_facts(keys.upload("north", STRANGER)),
        keys.upload_use(keys.upload("north", STRANGER), job),
        keys.upload_use(keys.upload("north", STRANGER), "not-an-id"),
        "uploads/notes.txt",
        "uploads/Not A Tenant/x".replace(" ", "-"),
        f"{AUDIT}/notes.txt",
        f"{AUDIT}/api-{'0' * 16}/000000000.ndjson",
        "audit/notes.txt",
        "endpoints/x",
        "trials/x",
        "elsewhere/x",
    ]


#: Values of a type or a size that no field has.
JUNK = st.sampled_from(
    [None, True, -1, 1 << 31, 1 << 53, 10**40, 1e300, "", "\x00", "-", "a" * 1000, [], [[]], {}, {"a": 1}, ["x"]]
)
PLAIN = st.sampled_from(
    [
        b"",
        b"\n\n",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe\x00binary\x00",
        b"\x1f\x8b\x08\x00" + bytes(64),
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"1" * 5000,
        b'{"size": 1e999}',
        b'{"job": NaN}',
        b'"' + b"x" * (3 << 20) + b'"',
        b"x" * (3 << 20) + b"\n{}\n",
    ]
)


@st.composite
def bodies(draw: st.DrawFn, original: bytes) -> bytes:
    """Draw a replacement for the object `original`: anything, or the same with something wrong."""
    how = draw(st.sampled_from(["plain", "bytes", "cut", "field", "unknown", "deep", "twice"]))
    if how == "plain" or not original:
        return draw(PLAIN)
    if how == "bytes":
        return draw(st.binary(max_size=64))
    if how == "cut":
        return original[: draw(st.integers(0, len(original) - 1))]
    if how == "twice":
        return original + original
    first, *others = original.splitlines() if original.count(b"\n{") else [original]
    if not first.startswith(b"{"):
        return draw(PLAIN)
    record = json.loads(first)
    if how == "field" and record:
        record[draw(st.sampled_from(sorted(record)))] = draw(JUNK)
    elif how == "deep":
        record[draw(st.sampled_from(["metadata", "findings", "new_field"]))] = nested(draw(st.sampled_from([31, 250])))
    else:
        record["new_field"] = draw(JUNK)
    return b"\n".join([json.dumps(record).encode(), *others])


def sample(job: str, key: str) -> bytes:
    """Return a well-formed object to begin with, for a key of the job under which nothing is stored."""
    now = datetime.now(UTC).isoformat()
    known: dict[str, Any] = {
        keys.accepted(STRANGER): {
            "id": STRANGER, "tenant": "north", "created_at": now, "lane": "bulk", "outputs": [], "total": 1,
            "items": [Item(source="uploads/north/x", size=1, sha256="0", custom_id="0", prompts=("a",)).model_dump()],
            "fingerprint": "0",
        },
        keys.gone(job): {"tenant": "north", "at": now, "reason": "deleted"},
        keys.cancel(job): {"reason": "cancelled by the caller", "at": now},
        keys.halted(job): {"step": "plan", "code": "planning_failed", "detail": "It failed.", "at": now},
        keys.window(job, 0): {"low": 0.0, "high": 1.0, "name": "none"},
        keys.assembled_item(job, 0): {"item": 0},
    }  # fmt: skip
    if "/delivered/" in key:
        return json.dumps({"how": "ok", "at": now}).encode()
    return json.dumps(known[key]).encode() if key in known else b""
