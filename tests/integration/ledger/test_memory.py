"""A million frames cost Redis a cursor, two bitmaps and a name for each part: measured where it is worst."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.ledger.part_names import pack
from maskrelay.ledger.scripts import texts
from tests.support.drivers.ledger_jobs import (
    BOTH,
    accepted_job,
    frames_of,
    part_name,
    running_job,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey

FRAMES = 1_000_000
PART = 16
#: The last frames fail once through real claims, while the list of parts is at its longest.
FAILING = 8_000
MEGABYTE = 1_000_000


class Scale:
    """What the ledger takes now, by its keys and by the server's own account."""

    def __init__(self, valkey: RunningValkey) -> None:
        self._client = valkey.client
        self._before = self._used()
        self.peak = 0

    def _used(self) -> int:
        return int(self._client.info("memory")["used_memory"])

    def weigh(self) -> int:
        keys = sum(self._client.memory_usage(key, samples=0) or 0 for key in self._client.scan_iter("mr:*"))
        now = max(keys, self._used() - self._before)
        self.peak = max(self.peak, now)
        return now


@pytest.fixture
def scale(valkey: RunningValkey, ledger: Ledger) -> Scale:
    """Weighs from a server that has every script already."""
    running_job(ledger, "warm", 2)
    claim = ledger.claims.take(0, BOTH)
    assert isinstance(claim, Claim)
    ledger.claims.release_failed(claim.token, 0, "scoring_failed", timedelta(0))
    ledger.claims.adopt("warm", part_name(1), [(0, False, True), (1, False, True)])
    valkey.client.flushall()
    return Scale(valkey)


def queue(ledger: Ledger) -> None:
    accepted_job(ledger, "many", total=FRAMES, lane="bulk")
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    for part, first in enumerate(range(0, FRAMES, 1000)):
        last = first + 1000 == FRAMES
        assert ledger.step_leases.extend(
            lease, part, first=first, n=1000, spans=[], last=last, lane="bulk", items=first + 1000
        )


def settle_first(valkey: RunningValkey, ledger: Ledger, most: int) -> None:
    """The first frames have their outcomes, every other one an error, in parts of the usual size.

    Adopted in pipelines: a settled part leaves the same keys, and a million claims would take minutes.
    """
    ledger.claims.adopt("nobody", part_name(0), [])
    adopt = valkey.client.script_load(texts()["adopt_part"])
    for first in range(0, most // PART, 500):
        with valkey.client.pipeline(transaction=False) as pipeline:
            numbers = range(first, min(first + 500, most // PART))
            for number in numbers:
                lines = [(frame, frame % 2 == 1, True) for frame in range(number * PART, (number + 1) * PART)]
                pipeline.evalsha(adopt, 0, "many", pack(part_name(number)), json.dumps(lines))
            assert pipeline.execute() == [PART] * len(numbers)


def claims(ledger: Ledger) -> Iterator[Claim]:
    while isinstance(claim := ledger.claims.take(0, BOTH), Claim):
        yield claim


def test_a_million_queued_frames_take_under_a_megabyte(ledger: Ledger, scale: Scale) -> None:
    queue(ledger)
    taken = scale.weigh()
    print(f"{FRAMES:,} frames queued: {taken:,} bytes")
    assert frames_of(ledger, "many").waiting == FRAMES
    assert taken < MEGABYTE


@pytest.mark.slow_subject("ledger-scale")
def test_a_million_frames_that_all_fail_once_take_under_two_megabytes(
    valkey: RunningValkey, ledger: Ledger, scale: Scale
) -> None:
    queue(ledger)
    settle_first(valkey, ledger, FRAMES - FAILING)
    print(f"{FRAMES - FAILING:,} frames settled: {scale.weigh():,} bytes")
    number = FRAMES // PART
    while state_of(ledger, "many") == "running":
        again: list[Claim] = []
        for claim in claims(ledger):
            trouble = claim.trouble(claim.first)
            if trouble.struck:
                again.append(claim)
            else:
                ledger.claims.release_failed(claim.token, claim.first, "scoring_failed", timedelta(0))
            if len(again) == 500:
                break
        scale.weigh()
        for start in range(0, len(again), PART):
            number += 1
            group = again[start : start + PART]
            lines = [Settlement(claim.token, claim.first, failed=False) for claim in group]
            assert len(ledger.claims.settle("many", part_name(number), lines)) == len(group)
    print(f"{FRAMES:,} frames failed once: {scale.peak:,} bytes at most")
    assert scale.peak < 2 * MEGABYTE


def test_the_cursor_stops_at_two_thousand_waiting_retries(ledger: Ledger) -> None:
    queue(ledger)
    begun = 0
    for claim in claims(ledger):
        ledger.claims.release_failed(claim.token, claim.first, "scoring_failed", timedelta(minutes=10))
        begun += 1
    assert begun == 2000
