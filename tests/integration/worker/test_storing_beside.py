"""Files of a job that are written into the folders of its sources, by the deliver stage's own function."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from maskrelay.contract.records import keys
from maskrelay.settings import Settings
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.phantoms import ball, nifti, oblique, series, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import settle, succeeded
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.drivers.runs import submit_run, uploaded
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.drivers.sending import send_all
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.simulators import RunningSimulator, running_simulator
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.sweep.watch_pass import WatchPass

PROMPT = "liver"
RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))
SLICES = voxels(RASTER, ball((0, 0, 0), 6))
PICTURE = saved(gradient(24, 20), "PNG")
BESIDE = {"store_to": "disk", "store_beside": True}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def entry(data: Path, *folders: str) -> dict[str, Any]:
    """Return a credential that reads everything, and writes below these folders."""
    return folder_credential(data, writes={"north": [f"{data.as_uri()}/{folder}" for folder in folders]})


@pytest.fixture
def credentials(tmp_path: Path, data: Path) -> Path:
    pacs = {"name": "pacs", "kind": "dicomweb", "writes": {"north": ["dicomweb+https://pacs.example/dicom-web/"]}}
    return write_credentials(tmp_path / "credentials.json", entry(data, ""), pacs)


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


def put(data: Path, name: str, body: bytes = PICTURE) -> str:
    """Write a file. Return its URL."""
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def post(client: httpx.Client, *sources: str, **options: Any) -> httpx.Response:
    body = {"items": [{"source": source} for source in sources], "prompts": [PROMPT], "options": BESIDE | options}
    return client.post("/v1/jobs", json=body)


def job_of(api: RunningApi, client: httpx.Client, *sources: str) -> str:
    """Return a finished job with one frame for each source."""
    answer = post(client, *sources, outputs=["mask", "overlay"])
    assert answer.status_code == 202, answer.text
    job = str(answer.json()["id"])
    planned(api)
    settle(api, job, 1, *(succeeded(api, job, frame) for frame in range(len(sources))))
    finished(api, job)
    return job


def delivery(client: httpx.Client, job: str) -> tuple[str, str | None, dict[str, int]]:
    [shown] = client.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    return shown["state"], shown["reason"], shown["left_out"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def worker(api: RunningApi, endpoint: RunningSimulator) -> WorkerContext:
    """A worker that may use earlier answers, because the model version is declared."""
    context = with_endpoint(parts_of(api), endpoint)
    given = {**context.settings.model_dump(exclude_unset=True), "endpoint_model_version": "2"}
    return WorkerContext(Settings.model_validate(given), context.storage, context.ledger)


def test_a_listing_writes_beside_its_sources_and_a_second_run_reads_the_same_for_nothing(
    api: RunningApi, worker: WorkerContext, endpoint: RunningSimulator, north: httpx.Client, data: Path
) -> None:
    put(data, "ct/a b.png")
    put(data, "ct/a b.nii.gz", nifti(RASTER, SLICES))
    put(data, "zip/two.zip", a_zip(("1.png", PICTURE), ("2.png", saved(gradient(20, 24), "PNG"))))
    for number, body in enumerate(series(RASTER, SLICES, np.arange(4), Modality="MR")):
        put(data, f"ä/{number}.dcm", body)
    sources = files(data)

    def run() -> tuple[str, list[str], int]:
        """Run a listing and deliver its files. Return the job, its custom ids and the number of calls."""
        before = endpoint.counters()["prompts"]
        options = {**BESIDE, "outputs": ["mask", "nifti", "seg"]}
        body = {"listing": {"source": f"{data.as_uri()}/**"}, "prompts": [PROMPT], "options": options}
        job = north.post("/v1/jobs", json=body).json()["id"]
        plan_jobs(worker, time.monotonic() + 60)
        asyncio.run(segment_waiting_frames(worker))
        for step in (finish_jobs, assemble_items, finish_jobs):
            step(worker, time.monotonic() + 60)
        send_all(api)
        assert delivery(north, job) == ("delivered", "ok", {})
        items = [item["custom_id"] for item in north.get(f"/v1/jobs/{job}/items").json()["items"]]
        return job, items, int(sum(endpoint.counters()["prompts"].values()) - sum(before.values()))

    job, items, calls = run()
    assert calls > 0
    written = {name: body for name, body in files(data).items() if name not in sources}
    found = Counter[tuple[str, str, str]]()
    for name in written:
        stem, artifact = name.split(f".maskrelay-{job}.")
        number, ending = re.split(r"\D", artifact, maxsplit=1)[0], artifact.partition(".")[2]
        found[stem, items[int(number)], ending] += 1
    assert found == {
        ("ct/a b", "ct/a%20b.png", "mask.png"): 1,
        ("ct/a b", "ct/a%20b.nii.gz", "mask.png"): 4,
        ("ct/a b", "ct/a%20b.nii.gz", "labels.nii.gz"): 1,
        ("zip/two", "zip/two.zip", "mask.png"): 1,
        ("zip/two", "zip/two.zip/1", "mask.png"): 1,
        ("ä/0", "%C3%A4/0.dcm", "mask.png"): 4,
        ("ä/0", "%C3%A4/0.dcm", "labels.nii.gz"): 1,
        ("ä/0", "%C3%A4/0.dcm", "seg.dcm"): 1,
    }
    for name, body in written.items():
        assert north.get(f"/v1/jobs/{job}/artifacts/{name.partition(f'{job}.')[2]}").content == body

    second, again, calls = run()
    assert (again, calls) == (items, 0)
    assert files(data).keys() == {*sources, *written, *(name.replace(job, second) for name in written)}
    assert {name: files(data)[name] for name in sources} == sources


def test_a_repeated_delivery_writes_the_same_names(api: RunningApi, north: httpx.Client, data: Path) -> None:
    job = job_of(api, north, put(data, "a.png"), put(data, "a.jpeg"))
    send_all(api)
    before = files(data)
    assert len(before) == 6
    [shown] = north.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    for name in before:
        if job in name:
            (data / name).unlink()
    assert north.post(f"/v1/jobs/{job}/deliveries/{shown['event']}/replay").status_code == 202
    send_all(api)
    assert files(data) == before


def test_items_that_may_no_longer_be_written_are_left_out_and_counted(
    api: RunningApi, north: httpx.Client, data: Path, credentials: Path
) -> None:
    outside = data.parent / "outside"
    sources = [put(data, f"{folder}/1.png") for folder in ("open", "shut", "open/moved", "open/more")]
    job = job_of(api, north, *sources)
    write_credentials(credentials, {**entry(data), "writes": {"south": [f"{data.as_uri()}/"]}})
    send_all(api)
    assert delivery(north, job)[:2] == ("waiting", "credential")
    write_credentials(credentials, entry(data, "open/"))
    (data / "open" / "moved").rename(outside)
    (data / "open" / "moved").symlink_to(outside)
    send_all(api)
    left_out = {"source_not_allowed": 1, "key_invalid": 1}
    assert delivery(north, job) == ("given_up", "source_not_allowed", left_out)
    ends = ("mask.png", "overlay.png")
    names = [f"open/1.maskrelay-{job}.0-0{end}" for end in ("-0.mask.png", ".overlay.png")]
    names += [f"open/more/1.maskrelay-{job}.3-3{end}" for end in ("-0.mask.png", ".overlay.png")]
    assert sorted(name for name in files(data) if name.endswith(ends)) == sorted(names)
    assert list(files(outside)) == ["1.png"]


def test_a_folder_that_is_missing_is_not_made_and_the_delivery_waits_for_it(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    job = job_of(api, north, put(data, "ct/1/1.png"), put(data, "2.png"))
    for folder in (data / "ct" / "1", data / "ct", data):  # the last one is the prefix itself
        folder.rename(data.parent / "away")
        send_all(api)
        assert delivery(north, job)[:2] == ("waiting", "folder_missing")
        assert not folder.exists()
        (data.parent / "away").rename(folder)
    assert sorted(files(data)) == ["2.png", "ct/1/1.png"]
    send_all(api)
    assert delivery(north, job) == ("delivered", "ok", {})
    assert len(files(data)) == 6


@pytest.mark.parametrize("last", ["folder_missing", "credential"])
def test_items_that_were_left_out_are_counted_when_the_last_attempt_fails(
    api: RunningApi, north: httpx.Client, data: Path, credentials: Path, last: str
) -> None:
    job = job_of(api, north, put(data, "shut/1.png"), put(data, "open/1.png"))
    write_credentials(credentials, entry(data, "open/"))
    (data / "open").rename(data / "moved")
    send_all(api)
    if last == "credential":
        write_credentials(credentials, {**entry(data), "writes": {"south": [f"{data.as_uri()}/"]}})
    for _ in range(9):
        assert delivery(north, job)[0] == "waiting"
        send_all(api)
    assert delivery(north, job) == ("given_up", last, {"source_not_allowed": 1})


@pytest.mark.parametrize(
    ("options", "code", "pointer"),
    [
        ({"store_to": None}, "option_invalid", "store_beside"),
        ({"store_to": "pacs"}, "option_invalid", "store_beside"),
        ({"store_to": "unknown"}, "credential_unknown", "store_to"),
        ({"store_prefix": "file:///data/"}, "option_invalid", "store_beside"),
        ({"identifiers": "hashed"}, "option_invalid", "store_beside"),
        ({"identifiers": "none"}, "option_invalid", "store_beside"),
        ({"store_beside": "yes"}, "option_invalid", "store_beside"),
    ],
)
def test_what_does_not_fit_the_option_is_refused_at_submission(
    api: RunningApi, north: httpx.Client, data: Path, options: dict[str, Any], code: str, pointer: str
) -> None:
    for answer in (
        post(north, put(data, "a.png"), **options),
        north.post(
            "/v1/jobs",
            json={
                "manifest": {"source": put(data, "run.csv", b"source\n")},
                "prompts": [PROMPT],
                "options": BESIDE | options,
            },
        ),
        submit_run(north, {"prompts": [PROMPT], "options": BESIDE | options}, {"source": put(data, "a.png")}),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, code), problem
        assert problem["errors"][0]["pointer"] == f"#/options/{pointer}"


def test_a_source_without_a_writable_folder_is_refused(
    api: RunningApi, north: httpx.Client, data: Path, credentials: Path
) -> None:
    write_credentials(credentials, entry(data, "open/"))
    [upload] = uploaded(north, PICTURE)
    inside, outside = put(data, "open/a.png"), put(data, "shut/a.png")
    form = {"prompt": PROMPT, "options": json.dumps(BESIDE)}
    common = {"prompts": [PROMPT], "options": BESIDE}
    everything = {"source": f"{data.as_uri()}/"}
    refused = [
        (north.post("/v1/jobs", files=[("image", ("a.png", PICTURE))], data=form), "option_invalid"),
        (north.post("/v1/jobs", json={"items": [{"upload": upload}], **common}), "option_invalid"),
        (post(north, inside, outside), "source_not_allowed"),
        (
            north.post("/v1/jobs", json={"listing": {"source": f"{data.as_uri()}/*/a.png"}, **common}),
            "source_not_allowed",
        ),
        (north.post("/v1/watches", json={**everything, **common}), "source_not_allowed"),
    ]
    for answer, code in refused:
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert answer.json()["errors"][0]["pointer"] == "#/options/store_beside"
    listing = {"listing": {"source": f"{data.as_uri()}/open/**"}, **common}
    assert north.post("/v1/jobs", json=listing).status_code == 202


def test_lines_without_a_writable_folder_are_rejected(
    api: RunningApi, north: httpx.Client, data: Path, credentials: Path
) -> None:
    write_credentials(credentials, entry(data, "open/"))
    [upload] = uploaded(north, PICTURE)
    sources = [put(data, "open/a.png"), put(data, "shut/a.png")]
    head = {"prompts": [PROMPT], "options": BESIDE | {"max_rejected_share": 0.9}}
    answer = submit_run(north, head, *({"source": source} for source in sources), {"upload": upload})
    manifest = put(data, "run.csv", "\n".join(["source", *sources]).encode())
    jobs = [answer.json()["id"], north.post("/v1/jobs", json={"manifest": {"source": manifest}, **head}).json()["id"]]
    planned(api)
    found = [north.get(f"/v1/jobs/{job}/rejected").json()["rejected"] for job in jobs]
    lines = [[(line["line"], line["code"], line["pointer"]) for line in page] for page in found]
    assert lines[0] == [(3, "source_not_allowed", "#/source"), (4, "option_invalid", "#/upload")]
    assert [line[1:] for line in lines[1]] == [("source_not_allowed", "#/source")]


def test_a_watch_does_not_submit_what_its_jobs_have_written(api: RunningApi, north: httpx.Client, data: Path) -> None:
    asked = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], "options": {**BESIDE, "outputs": ["mask"]}}
    watch = north.post("/v1/watches", json={**asked, "settle_s": 0, "period_s": 1}).json()

    def looked() -> int:
        """Look at the watch at once. Return the number of submitted folders."""
        api.ledger.watches.forget(watch["id"])
        watch_pass = WatchPass(parts_of(api))
        submitted = watch_pass.make()
        while watch_pass.looks:
            submitted += watch_pass.make(begin=False)
        return submitted

    def jobs() -> list[str]:
        return [key.split("/")[1] for key in api.storage.list(keys.JOBS) if key.endswith("/job.json")]

    put(data, "one/1.png")
    looked()
    [job] = jobs()
    planned(api)
    settle(api, job, 1, succeeded(api, job, 0))
    finished(api, job)
    send_all(api)
    assert delivery(north, job) == ("delivered", "ok", {})
    assert f"one/1.maskrelay-{job}.0-0-0.mask.png" in files(data)
    looked()  # under the same id
    assert jobs() == [job]
    put(data, "one/2.png")
    looked()
    assert len(jobs()) == 2
