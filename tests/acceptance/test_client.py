"""The command line client as people call it: a process of its own, against the whole stack."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from maskrelay.client import Client
from maskrelay.errors import NotCancellable, NotFound, PromptHasAmpersand, Unauthenticated
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import RunningStack

Ran = subprocess.CompletedProcess[str]
PROMPTS = ("optic disc in retinal fundus", "optic cup in retinal fundus")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "röntgen #1.png"
    path.write_bytes(saved(gradient(90, 60), "PNG"))
    return path


def maskrelay(
    stack: RunningStack, folder: Path, *arguments: str, key: str | None = None
) -> subprocess.CompletedProcess:
    environment = {**os.environ, "MASKRELAY_URL": stack.url, "MASKRELAY_API_KEY": key or stack.api_key}
    command = [sys.executable, "-m", "maskrelay.client.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def ask(*prompts: str) -> list[str]:
    return [word for prompt in prompts for word in ("--prompt", prompt)]


def test_from_a_photograph_to_masks_on_disk_in_one_command(stack: RunningStack, photo: Path, tmp_path: Path) -> None:
    outputs = ["--output", "mask", "--output", "overlay", "--output", "probability"]
    ran = maskrelay(stack, tmp_path, "submit", photo.name, *ask(*PROMPTS), *outputs, "--save", "out", "--json")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert "1/1 succeeded" in ran.stderr
    (item,) = answer["items"]
    assert (item["custom_id"], item["source_name"]) == ("0", photo.name)
    files = {(file["output"], file.get("prompt")): tmp_path / file["path"] for file in answer["files"]}
    assert set(files) == {("overlay", None), *((kind, one) for kind in ("mask", "probability") for one in PROMPTS)}
    for mask in item["masks"]:
        with Image.open(files["mask", mask["prompt"]]) as image:
            assert (image.size, image.mode) == ((90, 60), "L")
            pixels = np.asarray(image)
        assert set(np.unique(pixels)) <= {0, 255}
        assert int(np.count_nonzero(pixels)) == mask["area_px"]
    assert all(path.name.startswith("röntgen_1") for path in files.values())


def test_status_fetch_jobs_and_cancel_of_a_finished_job(stack: RunningStack, photo: Path, tmp_path: Path) -> None:
    submitted = maskrelay(stack, tmp_path, "submit", str(photo), *ask(PROMPTS[0]))
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.split()[1]
    with stack.client() as client:
        client.wait(job)
    status = maskrelay(stack, tmp_path, "status", job)
    assert "1/1 succeeded" in status.stdout
    assert PROMPTS[0] in status.stdout
    assert f"maskrelay fetch {job}" in status.stdout
    fetched = maskrelay(stack, tmp_path, "fetch", job, "there")
    assert fetched.stdout.splitlines()[-1] == "2 files in there"
    saved_names = {path.name for path in (tmp_path / "there").iterdir()} - {"manifest.json", ".maskrelay-run.jsonl"}
    assert sorted(Path(name).suffixes[-2] for name in saved_names) == [".mask", ".overlay"]
    assert job in maskrelay(stack, tmp_path, "jobs").stdout
    late = maskrelay(stack, tmp_path, "cancel", job)
    assert late.returncode == 3
    assert late.stderr.startswith("maskrelay: ")
    assert "Traceback" not in late.stderr


def test_what_is_refused_is_told_in_one_line(stack: RunningStack, photo: Path, tmp_path: Path) -> None:
    wrong_key = maskrelay(stack, tmp_path, "jobs", key="wrong")
    assert (wrong_key.returncode, wrong_key.stderr.count("\n")) == (3, 1)
    ampersand = maskrelay(stack, tmp_path, "submit", str(photo), *ask("disc & cup"))
    assert ampersand.returncode == 3
    assert "&" in ampersand.stderr
    assert "Traceback" not in wrong_key.stderr + ampersand.stderr


def test_a_broken_file_among_good_ones_is_named_and_the_exit_code_says_so(
    stack: RunningStack, photo: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:100])
    ran = maskrelay(stack, tmp_path, "submit", str(photo), str(broken), *ask(PROMPTS[0]), "--wait")
    assert ran.returncode == 1
    assert "partial" in ran.stdout
    line = next(line for line in ran.stdout.splitlines() if "broken.png" in line)
    assert "truncated" in line


def test_errors_of_the_service_are_the_classes_of_the_tree(stack: RunningStack) -> None:
    picture = saved(gradient(), "PNG")
    with stack.client() as client:
        with pytest.raises(PromptHasAmpersand):
            client.submit([picture], ["a & b"])
        with pytest.raises(NotFound):
            client.job("a" * 26)
        ended = client.wait(client.submit([picture], ["tumor"]).id)
        with pytest.raises(NotCancellable):
            client.cancel(ended.id)
    with Client(stack.url, "wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.submit([b"x" * 5_000_000], ["tumor"])


def test_the_same_idempotency_key_finds_the_first_job(stack: RunningStack) -> None:
    picture = saved(gradient(), "PNG")
    with stack.client() as client:
        first = client.submit([picture], ["tumor"], idempotency_key="night-1")
        again = client.submit([picture], ["tumor"], idempotency_key="night-1")
    assert again.id == first.id


def test_many_files_with_own_ids_come_back_under_them(stack: RunningStack, tmp_path: Path) -> None:
    pictures = [saved(gradient(20 + number, 30), "PNG") for number in range(25)]
    with stack.client() as client:
        job = client.submit(pictures, ["tumor"], outputs=["mask"], custom_ids=[f"case {n}" for n in range(25)])
        ended = client.wait(job.id)
        assert (ended.state, ended.counts.succeeded) == ("succeeded", 25)
        assert [item.custom_id for item in client.items(job.id)] == [f"case {n}" for n in range(25)]
        files = client.save(job.id, tmp_path)
        hashes = {file.path: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in files}
        again = client.save(job.id, tmp_path)
    assert len(hashes) == 25
    for number, file in enumerate(files):
        with Image.open(io.BytesIO(file.path.read_bytes())) as mask:
            assert mask.size == (20 + number, 30)
    assert {file.path: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in again} == hashes


def test_waiting_goes_on_while_the_api_is_killed_and_started_again(stack: RunningStack) -> None:
    stack.kill("segment")
    seen: list[str] = []

    with stack.client() as client:
        job = client.submit([saved(gradient(), "PNG")] * 3, ["tumor"])
        assert eventually(lambda: client.job(job.id).planned)
        stack.kill("api")
        stack.start("segment")
        stack.start("api")
        ended = client.wait(job.id, on_progress=lambda shown: seen.append(shown.state))
    assert ended.state == "succeeded"
    assert seen[-1] == "succeeded"


def test_the_key_of_the_embedded_stack_may_delete_its_own_job(stack: RunningStack) -> None:
    with stack.client() as client:
        job = client.wait(client.submit(saved(gradient(), "PNG"), "tumor").id)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30, trust_env=False) as http:
        assert http.delete(f"/v1/jobs/{job.id}").is_success
        assert http.get(f"/v1/jobs/{job.id}").status_code == 410


def test_the_demo_shows_masks_verifies_callbacks_and_leaves_nothing_running(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
    command = [sys.executable, "-m", "maskrelay.stack", "demo"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("Callback received and signature verified") == 2
    rows = [line for line in ran.stdout.splitlines() if line.startswith(("retina.jpg ", "ihc.png "))]
    assert len(rows) == 4
    named = [Path(word) for row in rows for word in row.split() if word.startswith("demo-output")]
    assert len(named) == 8
    assert all((tmp_path / path).is_file() for path in named)
    assert "all processes have ended" in ran.stdout
