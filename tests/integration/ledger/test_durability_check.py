"""What a process says in its log at the start of a Redis that may forget: real servers, and nothing but INFO asked."""

import logging

import pytest

from maskrelay.ledger.durability_check import warn_of_forgetting
from tests.support.servers.valkeys import running_valkey


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage().partition(" →")[0]) for one in caplog.records]


def test_of_a_redis_that_keeps_everything_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with running_valkey(persist=True) as running:
        warn_of_forgetting(running.ledger().scripts)
    assert said(caplog) == []


def test_each_way_of_forgetting_is_one_warning_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with running_valkey(options=("--maxmemory-policy", "allkeys-lru")) as running:
        running.client.acl_setuser("default", enabled=True, nopass=True, commands=["-config"])
        warn_of_forgetting(running.ledger().scripts)
    assert said(caplog) == [
        (logging.WARNING, "redis persistence: the append-only file is off"),
        (logging.WARNING, "redis eviction: the policy is allkeys-lru"),
    ]
    assert "set appendonly yes" in caplog.records[0].getMessage()
    assert "set maxmemory-policy noeviction" in caplog.records[1].getMessage()
