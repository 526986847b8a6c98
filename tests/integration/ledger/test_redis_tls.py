"""A Redis behind TLS and with users of its own, as a managed one is: what the URL says is enough for every process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.admin.checks.redis_server import check
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import open_ledger
from maskrelay.ledger.broker import Publisher, broker
from maskrelay.settings import Settings
from tests.support.builders.certificates import write_certificate
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.valkeys import RunningValkey
from worker.alive import main as alive

ROOT = Path(__file__).parents[3]
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.crt`, which vouches for 127.0.0.1, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def url(valkey: RunningValkey, certificate: Path) -> Iterator[str]:
    """The URL of a user other than the default one, without what vouches for the server."""
    valkey.client.acl_setuser(
        "mr", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], categories=["+@all"]
    )
    with tls_before(valkey.port, certificate / "ca.crt", certificate / "key") as port:
        yield f"rediss://mr:secret@127.0.0.1:{port}/0"
    valkey.client.acl_deluser("mr")


def wake(url: str) -> bool:
    """Send a wake-up: the ledger's connection and the broker's are both used."""
    publisher = Publisher(broker(url, visibility_timeout=10 * MINUTE))
    ledger = open_ledger(url, publisher, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)
    return ledger.wake_ups.wake("deliver")


def test_ledger_and_broker_reach_it_by_the_url_alone(url: str, certificate: Path):
    assert wake(f"{url}?ssl_ca_certs={certificate / 'ca.crt'}")


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(url: str, valkey: RunningValkey):
    with pytest.raises(LedgerUnavailable):
        wake(f"{url}?ssl_cert_reqs=required")
    assert valkey.client.keys("*") == []


@pytest.mark.parametrize("of", ["ledger", "broker"])
def test_by_default_a_server_that_nobody_vouches_for_is_sent_nothing(url: str, valkey: RunningValkey, of: str):
    publisher = Publisher(broker(url, visibility_timeout=10 * MINUTE))
    ledger = open_ledger(url, publisher, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)
    with pytest.raises(LedgerUnavailable):
        publisher("segment") if of == "broker" else ledger.jobs.get("x")
    assert valkey.client.keys("*") == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "MASKRELAY_CA_FILE"])
def test_an_authority_of_the_system_or_of_the_setting_is_trusted_by_both(
    url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
):
    monkeypatch.setenv(variable, str(certificate / "ca.crt"))
    assert wake(url)


def test_a_server_of_another_name_is_trusted_only_where_the_url_says_so(
    url: str, valkey: RunningValkey, certificate: Path
):
    other = f"{url}?ssl_ca_certs={certificate / 'ca.crt'}".replace("127.0.0.1", "localhost")
    with pytest.raises(LedgerUnavailable):
        wake(other)
    assert wake(f"{other}&ssl_check_hostname=false")
    valkey.client.delete("mr:woken:deliver")  # else the wake-up is the one before
    assert wake(f"{url}?ssl_cert_reqs=none")


def test_doctor_reports_a_server_that_is_not_verified_and_the_brokers_connection(url: str, tmp_path: Path):
    def findings(redis_url: str) -> dict[str, str]:
        environment = {"MASKRELAY_REDIS_URL": redis_url, "MASKRELAY_STORAGE_URL": tmp_path.as_uri()}
        settings = Settings.from_environment({**environment, "MASKRELAY_SERVER_KEY": "k" * 32})
        return {finding.check: finding.state for finding in check(settings)}

    relaxed = findings(f"{url}?ssl_cert_reqs=none")
    assert (relaxed["redis tls"], relaxed["redis broker"]) == ("warn", "ok")
    assert findings(url) == {"redis": "wrong"}


def test_a_wrong_password_is_an_unavailable_ledger_and_told_without_it(url: str, certificate: Path):
    wrong = url.replace("mr:secret@", "mr:wr0ng@")
    with pytest.raises(LedgerUnavailable) as caught:
        wake(f"{wrong}?ssl_ca_certs={certificate / 'ca.crt'}")
    assert "wr0ng" not in f"{caught.value} {caught.value.detail} {vars(caught.value)}"


def test_a_worker_becomes_ready_on_it(url: str, certificate: Path, tmp_path: Path):
    heart = tmp_path / "heartbeat"
    environment = {
        "MASKRELAY_REDIS_URL": f"{url}?ssl_ca_certs={certificate / 'ca.crt'}",
        "MASKRELAY_STORAGE_URL": tmp_path.as_uri(),
        "MASKRELAY_SERVER_KEY": "k" * 32,
        "MASKRELAY_HEARTBEAT_FILE": str(heart),
    }
    command = [sys.executable, "-m", "worker", "deliver"]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ) | environment, stderr=log)
    try:
        ends = time.monotonic() + 60
        while alive(["--ready"], environment) != 0:
            assert worker.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < ends, (tmp_path / "log").read_text()
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()
