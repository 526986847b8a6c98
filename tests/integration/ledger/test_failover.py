"""A failover behind one address: the old primary becomes a replica and keeps its connections."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.broker import Publisher, broker
from tests.support.drivers.ledger_jobs import accepted_job
from tests.support.proxies.tcp_proxy import TcpProxy
from tests.support.servers.valkeys import RunningValkey, running_valkey

MINUTE = timedelta(minutes=1)


class Pair:
    """Two servers, and an address that leads to the one that is primary when a connection is made."""

    def __init__(self, first: RunningValkey, second: RunningValkey) -> None:
        self.first, self.second = first, second
        self.address = TcpProxy(("127.0.0.1", first.port))
        self.url = f"redis://127.0.0.1:{self.address.port}/0"

    def fail_over(self) -> None:
        """The connections that are open stay as they are."""
        self.first.client.replicaof("127.0.0.1", self.second.port)
        self.address.upstream = ("127.0.0.1", self.second.port)

    def ledger(self) -> Ledger:
        publisher = Publisher(broker(self.url, visibility_timeout=10 * MINUTE))
        return open_ledger(self.url, publisher, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_valkey() as first, running_valkey() as second:
        pair = Pair(first, second)
        yield pair
        pair.address.close()


def test_the_ledger_finds_the_new_primary_after_one_refusal(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    ledger = pair.ledger()
    accepted_job(ledger, "job-a")
    pair.fail_over()
    with caplog.at_level(logging.INFO), pytest.raises(LedgerUnavailable):
        ledger.scripts.check_writable()
    ledger.scripts.check_writable()
    accepted_job(ledger, "job-b")
    assert pair.second.client.exists("mr:job:job-b")
    assert [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()] == [
        "ledger: Redis does not serve requests (READONLY): it is a replica now",
        "ledger: Redis serves requests again",
    ]


def test_the_broker_finds_the_new_primary_after_one_refusal(pair: Pair) -> None:
    publisher = Publisher(broker(pair.url, visibility_timeout=10 * MINUTE))
    publisher("deliver")
    pair.fail_over()
    with pytest.raises(LedgerUnavailable):
        publisher("deliver")
    pair.second.client.flushall()
    publisher("deliver")
    assert pair.second.client.llen("deliver") == 1


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (["CONFIG", "SET", "min-replicas-to-write", "1"], "NOREPLICAS"),
        (["CONFIG", "SET", "maxmemory", "1"], "OOM"),
    ],
)
def test_a_server_that_takes_no_writes_is_named_once_and_used_again_when_it_does(
    refusal: list[str], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running_valkey() as valkey:
        ledger = valkey.ledger()
        valkey.client.execute_command(*refusal)
        for _ in range(3):
            with pytest.raises(LedgerUnavailable):
                ledger.scripts.check_writable()
        assert [record.getMessage() for record in caplog.records if f"({word})" in record.getMessage()] == [
            record.getMessage() for record in caplog.records if "does not serve" in record.getMessage()
        ]
        assert sum("does not serve" in record.getMessage() for record in caplog.records) == 1
        valkey.client.execute_command(*refusal[:3], "0")
        ledger.scripts.check_writable()


def test_a_password_that_was_changed_is_named_without_it(caplog: pytest.LogCaptureFixture) -> None:
    with running_valkey() as valkey:
        url = valkey.url.replace("redis://", "redis://:hidden-one@")
        valkey.client.config_set("requirepass", "hidden-other")
        ledger = open_ledger(url, print, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)
        with pytest.raises(LedgerUnavailable):
            ledger.jobs.get("job-a")
        assert "user name or the password" in caplog.text or "requires a password" in caplog.text
        assert "hidden" not in caplog.text
        valkey.client.execute_command("AUTH", "hidden-other")
        valkey.client.config_set("requirepass", "hidden-one")
        assert ledger.jobs.get("job-a") is None
