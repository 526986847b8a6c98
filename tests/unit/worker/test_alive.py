"""The probe of a worker: what it says of a heart that beats, stands still, or never beat."""

import os
import time
from pathlib import Path

import pytest

from tests.support.servers.valkeys import RunningValkey
from worker.alive import STILL, main

NOWHERE = "redis://127.0.0.1:9/0"


@pytest.fixture
def heart(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


def asked(heart: Path, redis_url: str, *arguments: str) -> int:
    """The probe's exit code."""
    environment = {
        "MASKRELAY_HEARTBEAT_FILE": str(heart),
        "MASKRELAY_REDIS_URL": redis_url,
        "MASKRELAY_STORAGE_URL": "file:///srv/results",
        "MASKRELAY_SERVER_KEY": "k" * 32,
    }
    return main(list(arguments), environment)


def last_beat(heart: Path, seconds_ago: float) -> None:
    heart.touch()
    os.utime(heart, (0, time.time() - seconds_ago))


def test_a_beating_heart_is_alive_and_ready_without_asking_redis(heart: Path):
    last_beat(heart, STILL / 2)
    assert asked(heart, NOWHERE) == 0
    assert asked(heart, NOWHERE, "--ready") == 0


@pytest.mark.parametrize("never", [True, False])
def test_a_heart_that_stands_still_though_redis_answers_is_neither(heart: Path, valkey: RunningValkey, never: bool):
    if not never:
        last_beat(heart, STILL * 2)
    assert asked(heart, valkey.url) == 1
    assert asked(heart, valkey.url, "--ready") == 1


def test_an_outage_of_redis_is_no_reason_to_restart_a_worker_but_it_is_not_ready(heart: Path):
    last_beat(heart, STILL * 2)
    assert asked(heart, NOWHERE) == 0
    assert asked(heart, NOWHERE, "--ready") == 1
