import subprocess
from pathlib import Path

import pytest

from maskrelay.stack.valkey import server


def fake(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_server_on_the_path_is_taken_if_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fake(tmp_path, "valkey-server", "Redis server v=6.2.14 sha=0")
    redis = fake(tmp_path, "redis-server", "Redis server v=7.0.15 sha=0")
    assert server() == redis


def test_without_one_the_wheel_s_server_is_taken_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fake(tmp_path, "redis-server", "Redis server v=5.0.3 sha=0")
    found = server()
    assert found.name == "valkey-server"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert "v=9." in said
