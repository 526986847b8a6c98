"""The index of stored scores, in a real Valkey."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.ledger.score_index import LONGEST_LIFE, Location, ScoreIndex
from tests.support.servers.valkeys import RunningValkey

MINUTE = timedelta(minutes=1)
#: The bytes that the script counts for an entry.
ENTRY_BYTES = 128
DIGEST = hashlib.sha256(b"a score").digest()
JOB = keys.id_of_bytes(hashlib.sha256(b"a job").digest())


@pytest.mark.parametrize(
    ("key", "offset"),
    [
        (keys.pack(JOB, keys.outcome_part_name(1764470000123, "0a1b2c3d", 17)), 123_456),
        (keys.score_answer(JOB, 5, 70_000, 2, "89abcdef"), 0),
    ],
)
def test_a_kept_answer_is_found_where_it_is(valkey: RunningValkey, key: str, offset: int) -> None:
    index = valkey.ledger().score_index
    assert index.find(DIGEST, "one", MINUTE) == "ours"
    index.keep([(DIGEST, ArtifactRef(key=key, offset=offset, length=789, sha256=""))])
    assert index.find(DIGEST, "other", MINUTE) == Location(key, offset, 789)
    counter, shard = sorted(valkey.client.keys("mr:scores:*"), key=lambda name: not name.endswith(b":entries"))
    assert valkey.client.object("encoding", shard) == b"listpack"
    assert valkey.client.get(counter) == b"1"
    assert valkey.client.keys("mr:scoring:*") == []


def test_one_of_two_scores_and_the_other_waits_until_it_is_kept_given_up_or_lapses(valkey: RunningValkey) -> None:
    index = valkey.ledger().score_index
    assert index.find(DIGEST, "one", MINUTE) == "ours"
    assert index.find(DIGEST, "one", MINUTE) == "ours"
    assert index.find(DIGEST, "other", MINUTE) == "begun"
    index.give_up(DIGEST, "other")
    assert index.find(DIGEST, "other", MINUTE) == "begun"
    index.give_up(DIGEST, "one")
    assert index.find(DIGEST, "other", timedelta(milliseconds=1)) == "ours"
    while index.find(DIGEST, "third", MINUTE) == "begun":
        pass
    assert index.find(DIGEST, "other", MINUTE) == "begun"


def answers(count: int) -> list[tuple[bytes, ArtifactRef]]:
    part = keys.pack(JOB, keys.outcome_part_name(1764470000123, "0a1b2c3d", 17))
    return [
        (hashlib.sha256(b"%d" % number).digest(), ArtifactRef(key=part, offset=number, length=9, sha256=""))
        for number in range(count)
    ]


@pytest.fixture
def limited(valkey: RunningValkey) -> Iterator[Callable[[float], int]]:
    """A function that sets the memory limit so that this share of it is used, and returns the limit in bytes."""

    def limit(share: float) -> int:
        most = int(valkey.client.info("memory")["used_memory"] / share)
        valkey.client.config_set("maxmemory", most)
        return most

    yield limit
    valkey.client.config_set("maxmemory", 0)


def test_an_entry_is_kept_for_no_longer_than_the_answer(valkey: RunningValkey) -> None:
    lifetime = timedelta(days=2)
    index = ScoreIndex(valkey.ledger().scripts, lifetime)
    assert index.keep(answers(1)) == 1
    for name in valkey.client.keys("mr:scores:*"):
        assert timedelta(days=1) <= timedelta(milliseconds=valkey.client.pttl(name)) <= lifetime
    assert ScoreIndex(valkey.ledger().scripts, timedelta(days=3650)).keep(answers(1)) == 1
    lives = [valkey.client.pttl(name) for name in valkey.client.keys("mr:scores:*")]
    assert timedelta(milliseconds=max(lives)) <= LONGEST_LIFE


def test_the_index_takes_no_more_than_its_share_of_the_memory(
    valkey: RunningValkey, limited: Callable[[float], int]
) -> None:
    index = valkey.ledger().score_index
    assert index.keep(answers(1)) == 1
    room = limited(0.5) // 4 // ENTRY_BYTES
    assert index.keep(answers(room + 200)) == room
    assert index.keep(answers(room + 200)[-100:]) == 0
    assert sum(valkey.client.hlen(name) for name in valkey.client.keys("mr:scores:*:[0-9]*")) == room
    assert isinstance(index.find(answers(room)[-1][0], "other", MINUTE), Location)


def test_nothing_is_added_while_accepted_work_needs_the_memory_but_marks_end(
    valkey: RunningValkey, limited: Callable[[float], int]
) -> None:
    index = valkey.ledger().score_index
    [(digest, _)] = answers(1)
    assert index.find(digest, "one", MINUTE) == "ours"
    valkey.client.set("ballast", bytes(32_000_000))
    limited(0.93)
    assert index.keep(answers(1)) == 0
    assert index.find(digest, "other", MINUTE) == "ours"
