"""Downloads of the files of a job: together or one by one, redirected to a store, and over connections that break."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from maskrelay import errors
from tests.support.servers.scripted_server import Seen, serving
from tests.unit.client.services import MASK, ONE, Answer, artifact, item, items, job, problem, service, with_files


def moved_to(address: str) -> Answer:
    """The service sends whoever asks for the mask there."""
    return Answer(307, b"", (("location", address), *MASK.headers))


def test_files_that_did_not_arrive_together_are_fetched_one_by_one(tmp_path: Path) -> None:
    links = [f"/v1/jobs/j1/artifacts/{number}-{number}-0.mask.png" for number in range(6)]
    shown = items(*(item(str(number), mask=link) for number, link in enumerate(links)))
    files = [artifact(b"mask %d" % number, f"attachment; filename={number}.png") for number in range(len(links))]
    together = b"".join(b"--b\r\n" + file.raw().partition(b"\r\n")[2] + b"\r\n" for file in files) + b"--b--\r\n"
    one_by_one = with_files(shown, *files)

    def answer(seen: Seen) -> Answer:
        if "/artifacts?" in seen.line:
            return Answer(200, together, (("content-type", "multipart/mixed; boundary=b"),), len(together) // 2)
        return one_by_one(seen)

    with service(answer) as one:
        saved = one.client.save("j1", tmp_path / "new")
        asked = [line for line in one.lines if "/artifacts/" in line]
    assert [file.path.read_bytes() for file in saved] == [b"mask %d" % number for number in range(len(links))]
    assert 0 < len(asked) < len(links)  # what had arrived before the response broke off is not requested again
    assert not list((tmp_path / "new").glob(".*.part"))


def test_what_has_arrived_is_kept_when_the_saving_is_interrupted(tmp_path: Path) -> None:
    def volume(number: int) -> dict[str, Any]:
        frames = [
            {**item("f", mask=f"/v1/jobs/j1/artifacts/{number}-{number * 100 + frame}-0.mask.png"), "frame": frame}
            for frame in range(100)
        ]
        links = {"nifti": f"/v1/jobs/j1/artifacts/{number}.labels.nii.gz"}
        return {"custom_id": str(number), "state": "succeeded", "frames": frames, "links": links}

    def answer(seen: Seen) -> Answer:
        path = seen.line.split()[1]
        if "/artifacts?" in path:
            names = parse_qs(urlsplit(path).query)["name"]
            files = (artifact(name.encode(), f"attachment; filename={name}").raw() for name in names)
            parts = [b"--b\r\n" + file.partition(b"\r\n")[2] + b"\r\n" for file in files]
            return Answer(200, b"".join(parts) + b"--b--\r\n")
        if path.endswith("/4.labels.nii.gz"):
            return problem(422, "option_invalid", "It breaks here.")
        if path.endswith(".nii.gz"):
            name = path.rpartition("/")[2]
            return artifact(name.encode(), f"attachment; filename={name}")
        return items(*(volume(number) for number in range(5)))

    with service(answer) as one, pytest.raises(errors.OptionInvalid):
        one.client.save("j1", tmp_path / "new")
    # The labels of the last volume failed. Everything before them has its name.
    assert len(list((tmp_path / "new").glob("*.labels.nii.gz"))) == 4
    assert len(list((tmp_path / "new").glob("*.mask.png"))) >= 400


def test_an_interrupt_does_not_wait_for_the_files_that_are_arriving(tmp_path: Path) -> None:
    links = [f"/v1/jobs/j1/artifacts/{number}-{number}-0.mask.png" for number in range(2)]
    two, arriving = items(*(item(str(number), mask=link) for number, link in enumerate(links))), threading.Event()

    def script(sock: socket.socket, seen: Seen) -> None:
        if "/artifacts/" not in seen.line:
            sock.sendall((two if "/items" in seen.line else job()).raw())
            return
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(3000):
            sock.sendall(b"x")
            arriving.set()
            time.sleep(0.01)

    with serving(script) as server:
        command = [sys.executable, "-m", "maskrelay.client.cli", "fetch", "j1", str(tmp_path)]
        address = {"MASKRELAY_URL": server.url.removesuffix("/score"), "MASKRELAY_API_KEY": "key"}
        child = subprocess.Popen(command, env=os.environ | address)
        try:
            assert arriving.wait(30)
            child.send_signal(signal.SIGINT)
            assert child.wait(15) == 130
        finally:
            child.kill()
            child.wait()
    assert [path.name for path in tmp_path.iterdir()] == [".maskrelay-run.jsonl"]


def test_a_link_to_another_address_is_asked_of_the_service_alone(tmp_path: Path) -> None:
    with service(ONE, MASK) as one:
        one.client.save("j1", tmp_path)
        assert one.lines[1] == "GET /v1/jobs/j1/artifacts/0-0-0.mask.png"


def test_a_file_that_lies_elsewhere_is_fetched_there_without_the_key_and_is_what_the_service_said(
    tmp_path: Path,
) -> None:
    with service(Answer(200, b"mask"), Answer(200, b"mosk")) as store:
        with service(ONE, moved_to(f"{store.url}/bucket/m?signed=1"), ONE, moved_to(f"{store.url}/m")) as one:
            (saved,) = one.client.save("j1", tmp_path)
            assert (saved.path.name, saved.path.read_bytes()) == ("røntgen-disc.mask.png", b"mask")
            with pytest.raises(errors.ServiceAnswerUnknown, match="damaged"):
                one.client.save("j1", tmp_path / "again")
        assert store.lines[0] == "GET /bucket/m?signed=1"
        assert all("authorization" not in seen.headers for seen in store.server.seen)


def test_a_store_behind_the_services_own_address_is_not_given_the_key_either(tmp_path: Path) -> None:
    with service(ONE, moved_to("/bucket/m?signed=1"), Answer(200, b"mask")) as one:
        one.client.save("j1", tmp_path)
    assert one.lines[-1] == "GET /bucket/m?signed=1"
    assert ["authorization" in seen.headers for seen in one.server.seen] == [True, True, False]


def test_an_address_that_is_over_is_asked_for_anew(tmp_path: Path) -> None:
    with service(Answer(403, b"expired"), Answer(200, b"mask")) as store, service(ONE, moved_to(store.url)) as one:
        (saved,) = one.client.save("j1", tmp_path)
    assert saved.path.read_bytes() == b"mask"


@pytest.mark.parametrize("away", [False, True])
def test_a_store_that_fails_is_named_without_the_rest_of_its_address(tmp_path: Path, away: bool) -> None:
    with service(Answer(403, b"no")) as store:
        address = "http://127.0.0.1:9" if away else store.url
        said = "cannot reach the object store at 127.0.0.1" if away else "the object store at 127.0.0.1.*returned 403"
        with (
            service(ONE, moved_to(f"{address}/m?signed=1")) as one,
            pytest.raises(errors.ServiceUnreachable, match=said) as caught,
        ):
            one.client.save("j1", tmp_path)
    assert "signed" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://h:99999999/m", f"http://{'a' * 70}.example/m", "file:///etc/passwd"])
def test_a_redirect_to_no_address_is_an_error(tmp_path: Path, address: str) -> None:
    with service(ONE, moved_to(address)) as one, pytest.raises(errors.ServiceAnswerUnknown, match="not an address"):
        one.client.save("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_a_name_that_is_not_valid_is_an_error(tmp_path: Path) -> None:
    with service(ONE, moved_to("http://xn--a/m")) as one, pytest.raises(errors.ServiceUnreachable):
        one.client.save("j1", tmp_path)


def test_a_redirect_that_says_nothing_of_the_file_is_not_followed(tmp_path: Path) -> None:
    moved = Answer(301, b"", (("location", "/v1/jobs/j1/artifacts/0-0-0.mask.png"),))
    with service(ONE, moved, MASK) as one, pytest.raises(errors.ServiceAnswerUnknown, match="returned 301"):
        one.client.save("j1", tmp_path)


def test_a_body_that_breaks_off_is_fetched_again_and_half_of_it_never_seen(tmp_path: Path) -> None:
    cut = artifact(b"mask", "attachment; filename=m.png", cut=2)
    with service(ONE, cut, MASK) as one:
        saved = one.client.save("j1", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {saved[0].path.name, "manifest.json"}
    assert saved[0].path.read_bytes() == b"mask"


def test_a_body_that_always_breaks_off_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    cut = artifact(b"mask", "attachment; filename=m.png", cut=2)
    with service(ONE, cut) as one, pytest.raises(errors.ServiceUnreachable, match="broke"):
        one.client.save("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_not_what_its_hash_says_is_not_kept(tmp_path: Path) -> None:
    with (
        service(ONE, artifact(b"mask", "", sha256="0" * 64)) as one,
        pytest.raises(errors.ServiceAnswerUnknown, match="damaged"),
    ):
        one.client.save("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []
