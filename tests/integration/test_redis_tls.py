"""A Redis behind TLS and with users of its own, as a managed one is: what the URL says is enough for every process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import open_ledger
from maskrelay.ledger.broker import Publisher, broker
from tests.certificates import write_certificate
from tests.tls_proxies import tls_before
from tests.valkeys import RunningValkey
from worker.alive import main as alive

ROOT = Path(__file__).parent.parent.parent
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
    return ledger.wakes.wake("deliver")


def test_ledger_and_broker_reach_it_by_the_url_alone(url: str, certificate: Path):
    assert wake(f"{url}?ssl_ca_certs={certificate / 'ca.crt'}")


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(url: str, valkey: RunningValkey):
    with pytest.raises(LedgerUnavailable):
        wake(f"{url}?ssl_cert_reqs=required")
    assert valkey.client.keys("*") == []


def test_a_wrong_password_is_an_unavailable_ledger_and_told_without_it(url: str, certificate: Path):
    wrong = url.replace("mr:secret@", "mr:wr0ng@")
    with pytest.raises(LedgerUnavailable) as caught:
        wake(f"{wrong}?ssl_ca_certs={certificate / 'ca.crt'}")
    assert "wr0ng" not in f"{caught.value} {caught.value.detail} {caught.value.fields}"


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
