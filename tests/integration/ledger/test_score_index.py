"""The index of stored scores, in a real Valkey."""

import hashlib
from datetime import timedelta

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.ledger.score_index import Location
from tests.support.servers.valkeys import RunningValkey

MINUTE = timedelta(minutes=1)
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
    [name] = valkey.client.keys("mr:scores:*")
    assert valkey.client.object("encoding", name) == b"listpack"
    assert valkey.client.ttl(name) > 0
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
