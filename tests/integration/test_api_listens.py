"""Where `python -m api` listens, and what it asks for before it listens to everybody."""

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from maskrelay.stack.loopback import free_port, says_ok
from tests.apis import api_environment
from tests.simulators import eventually
from tests.valkeys import RunningValkey

ROOT = Path(__file__).parent.parent.parent


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback address, which a kernel that supports IPv6 may lack."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_beyond_loopback_it_does_not_start_without_a_public_address(tmp_path: Path, valkey: RunningValkey) -> None:
    command = [sys.executable, "-m", "api", "--port", str(free_port())]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=api_environment(tmp_path, valkey.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "MASKRELAY_PUBLIC_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_by_default_it_listens_on_both_families_of_addresses(tmp_path: Path, valkey: RunningValkey) -> None:
    port = free_port()
    given = api_environment(tmp_path, valkey.url) | {"MASKRELAY_PUBLIC_URL": "https://api.example.org"}
    child = subprocess.Popen([sys.executable, "-m", "api", "--port", str(port)], cwd=ROOT, env=given)
    try:
        for host in ("127.0.0.1", "[::1]"):
            assert eventually(lambda host=host: says_ok(f"http://{host}:{port}/livez"), 60), host
    finally:
        child.terminate()
        child.wait()
