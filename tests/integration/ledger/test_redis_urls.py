"""Ledger and broker reach one server by every form of its address."""

from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.ledger import open_ledger
from maskrelay.ledger.broker import Publisher, broker
from tests.support.servers.valkeys import running_valkey

MINUTE = timedelta(minutes=1)
PASSWORD = "p@ss/w#rd?;%41"
QUOTED = "p%40ss%2Fw%23rd%3F%3B%2541"


@pytest.mark.parametrize(
    "form",
    [
        "redis://:{quoted}@127.0.0.1:{port}/3",
        "redis://:{quoted}@127.0.0.1:{port}?db=3&protocol=3&socket_timeout=5",
        "redis://default:{quoted}@[::1]:{port}/3",
        "unix://:{quoted}@{socket}?db=3",
    ],
)
def test_ledger_and_broker_use_the_same_database(form: str, tmp_path: Path) -> None:
    socket = tmp_path / "redis socket"
    with running_valkey(options=["--unixsocket", str(socket), "--bind", "127.0.0.1", "-::1"]) as valkey:
        valkey.client.config_set("requirepass", PASSWORD)
        valkey.client.execute_command("AUTH", PASSWORD)
        url = form.format(quoted=QUOTED, port=valkey.port, socket=str(socket).replace(" ", "%20"))
        publisher = Publisher(broker(url, visibility_timeout=10 * MINUTE))
        ledger = open_ledger(url, publisher, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)
        assert ledger.wake_ups.wake("deliver")
        valkey.client.execute_command("SELECT", 3)
        assert valkey.client.llen("deliver") == 1
        assert valkey.client.exists("mr:woken:deliver")
