"""Sources in S3 that are read with the keys of the machine, which change while the process runs."""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maskrelay.errors import SourceUnavailable
from maskrelay.sources.source_readers import SourceReaders
from tests.support.servers.scripted_server import ScriptedServer, Seen, http, serving

URL = "s3://images/a.png"


def found(sock: socket.socket, _: Seen) -> None:
    sock.sendall(http(200, b"", length=7, etag='"a"', last_modified="Tue, 01 Dec 2026 00:00:00 GMT"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedServer]:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "shared"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with serving(found) as server:
        yield server


def keys_seen(server: ScriptedServer) -> list[str]:
    return [request.headers["authorization"].split("=")[1].split("/")[0] for request in server.seen]


def credential(server: ScriptedServer) -> dict[str, object]:
    where = server.url.removesuffix("/score")
    return {"name": "archive", "kind": "s3", "reads": {"north": ["s3://images/"]}, "endpoint_url": where}


def test_keys_that_are_rotated_in_boto3s_file_are_used_for_the_next_request(
    server: ScriptedServer, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    def rotate(text: str) -> None:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / "shared")

    readers = reading(credential(server))
    readers._clock = iter(range(0, 1_000_000, 1000)).__next__  # so that no store rests
    with pytest.raises(SourceUnavailable) as none_yet:
        readers.stat("north", URL, None)
    assert none_yet.value.reason == "credentials"
    for key in ("FIRST", "SECOND"):
        rotate(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")
        readers.stat("north", URL, None)
    for useless in ("", "[default"):
        rotate(useless)
        readers.stat("north", URL, None)
    assert keys_seen(server) == ["FIRST", "SECOND", "SECOND", "SECOND"]


def test_temporary_keys_are_not_used_after_their_end_and_a_failure_to_renew_them_is_an_outage(
    server: ScriptedServer, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    """The process that gives out the keys fails while there is a file, and gives keys that end at once."""
    issuer = tmp_path / "issue.py"
    answer = {"Version": 1, "SecretAccessKey": "s", "SessionToken": "t"}
    issuer.write_text(
        "import datetime, json, pathlib, sys\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "here.joinpath('count').open('a').write('.')\n"
        "number = len(here.joinpath('count').read_text())\n"
        "if here.joinpath('away').exists(): sys.exit('away')\n"
        "soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)\n"
        f"print(json.dumps({answer!r} | {{'AccessKeyId': f'KEY{{number}}', 'Expiration': soon.isoformat()}}))\n"
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {issuer} {tmp_path}\n")
    readers = reading(credential(server))
    readers._clock = iter(range(0, 1_000_000, 1000)).__next__
    readers.stat("north", URL, None)
    (tmp_path / "away").touch()
    with pytest.raises(SourceUnavailable) as away:
        readers.stat("north", URL, None)
    assert away.value.reason == "credentials"
    (tmp_path / "away").unlink()
    readers.stat("north", URL, None)
    first, second = keys_seen(server)
    assert first != second
