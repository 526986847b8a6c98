"""Where `python -m api` listens, and what it asks for before it listens to everybody."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from maskrelay.stack.loopback import free_port
from tests.apis import SERVER_KEY, write_keys
from tests.simulators import eventually
from tests.valkeys import RunningValkey

ROOT = Path(__file__).parent.parent.parent


def environment(folder: Path, valkey: RunningValkey) -> dict[str, str]:
    (folder / "store").mkdir()
    write_keys(folder / "keys.json", {"north": ("north", ["submit", "read"])})
    return {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": valkey.url,
        "MASKRELAY_STORAGE_URL": (folder / "store").as_uri(),
        "MASKRELAY_KEYS_FILE": str(folder / "keys.json"),
        "MASKRELAY_SERVER_KEY": SERVER_KEY,
    }


def test_beyond_loopback_it_does_not_start_without_a_public_address(tmp_path: Path, valkey: RunningValkey) -> None:
    command = [sys.executable, "-m", "api", "--port", str(free_port())]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(tmp_path, valkey), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "MASKRELAY_PUBLIC_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_by_default_it_listens_on_both_families_of_addresses(tmp_path: Path, valkey: RunningValkey) -> None:
    port = free_port()
    given = environment(tmp_path, valkey) | {"MASKRELAY_PUBLIC_URL": "https://api.example.org"}
    child = subprocess.Popen([sys.executable, "-m", "api", "--port", str(port)], cwd=ROOT, env=given)
    try:
        for host in ("127.0.0.1", "[::1]"):
            assert eventually(lambda host=host: alive(f"http://{host}:{port}/livez"), 60), host
    finally:
        child.terminate()
        child.wait()


def alive(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
