"""The steps of the demo, each with the command that a user types, its output, and checks of what must be true."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from maskrelay.client import Client
from maskrelay.client.responses import pictures
from maskrelay.contract.views.job_views import JobShown
from maskrelay.storage.protocol import has
from tests.lake.cohort import EYES, eye
from tests.lake.lakes import TENANT, Lake
from tests.lake.terminal import DoesNotHold, Terminal
from tests.support.builders.certificates import Authority
from tests.support.builders.credentials import write_credentials
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.orthancs import running_orthanc
from tests.support.servers.simulators import RunningSimulator, eventually
from tests.support.servers.stacks import RunningStack, running_stack

PROMPTS = ("tumor", "cyst")
WORKERS = ("segment", "assemble", "control", "deliver")
PASSWORD = "a-password-of-the-archive"
QUERY = """\
SELECT coalesce(segmented_SeriesInstanceUID, custom_id) AS series, prompt, count(*) AS masks,
       sum(area_px)::BIGINT AS area_px, round(sum(area_mm2), 1) AS area_mm2
FROM masks WHERE run = '{run}' AND final GROUP BY ALL ORDER BY ALL"""
COUNT = """\
SELECT count(*) AS rows, count(DISTINCT (run_frame, prompt_number)) AS masks FROM masks WHERE run = '{run}'"""
#: DuckDB reads the files that `deltalake` lists, so it needs neither an extension nor a download.
PROGRAM = """\
import os, sys
import duckdb
from deltalake import DeltaTable

masks = DeltaTable(os.environ["TABLES"] + "/masks").to_pyarrow_dataset()
print(duckdb.sql(sys.argv[1]))
"""


@dataclass(frozen=True)
class Site:
    """The running service and archive."""

    stack: RunningStack
    client: Client
    endpoint: RunningSimulator
    archive: httpx.Client


def show(lake: Lake, folder: Path) -> Terminal:
    """Run every step over the lake. Raises DoesNotHold if one does not do what it should."""
    with _site(lake, folder) as site:
        terminal = Terminal(folder, _environment(site.stack, lake))
        (folder / "query.py").write_text(PROGRAM)
        _plan(terminal, site, lake)
        job = _run_and_kill(terminal, site, lake)
        _count(terminal, site, job)
        _query(terminal, site, lake, job)
        _archive(terminal, site, job)
        _repeat(terminal, site, lake)
    return terminal


@contextmanager
def _site(lake: Lake, folder: Path) -> Iterator[Site]:
    authority = Authority(folder)
    auth = ("maskrelay", PASSWORD)
    with ExitStack() as running:
        url = running.enter_context(running_orthanc(folder, PASSWORD))
        certificate = authority.issue("pacs", "127.0.0.1")
        port = running.enter_context(tls_before(urlsplit(url).port or 0, *certificate))
        archive = running.enter_context(httpx.Client(auth=auth, base_url=url.removesuffix("dicom-web")))
        write_credentials(
            folder / "credentials.json",
            {**lake.credential, "reads": {TENANT: [lake.images]}},
            {
                "name": "pacs",
                "kind": "dicomweb",
                "secret": httpx.BasicAuth(*auth)._auth_header,
                "allow": ["127.0.0.1"],
                "writes": {TENANT: [f"dicomweb+https://127.0.0.1:{port}/dicom-web/"]},
            },
        )
        settings = {
            **lake.settings,
            "credentials_file": folder / "credentials.json",
            "ca_file": authority.file,
            "endpoint_model_version": "1",
            "endpoint_price_per_hour": 3,
        }
        stack = running.enter_context(running_stack(folder / "data", **settings))
        endpoint = RunningSimulator(stack.simulator, "")
        endpoint.set(service_time=1)  # so that there is a time at which half of the frames are done
        yield Site(stack, running.enter_context(stack.client()), endpoint, archive)


def _environment(stack: RunningStack, lake: Lake) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"MASKRELAY_URL": stack.url, "MASKRELAY_API_KEY": stack.api_key, "TABLES": lake.tables}
    return {**os.environ, "PATH": programs, "COLUMNS": "160", **lake.reader, **ours}


def _run(terminal: Terminal, lake: Lake, more: str = "") -> str:
    """Make a run of every image in the lake. Return the id of the job."""
    prompts = " ".join(f"--prompt {prompt}" for prompt in PROMPTS)
    printed = terminal.typed(
        f"maskrelay run '{lake.images}**' {prompts} --output mask --output seg --output table \\\n"
        f"    --option store_to=pacs {more}".rstrip()
    )
    found = re.search(r"\b[a-z2-7]{26}\b", printed)
    if found is None:
        raise DoesNotHold("the command has not printed the id of the job")
    return found[0]


def _plan(terminal: Terminal, site: Site, lake: Lake) -> None:
    terminal.step("dry-run", "Dry run: what would it be, and what would it cost?")
    forecast = site.client.job(_run(terminal, lake, "--dry-run --quiet")).forecast
    found = forecast and (forecast.items, forecast.failed)
    terminal.check(found == (2 + EYES, 0), "each series, volume and photograph is one item")


def _run_and_kill(terminal: Terminal, site: Site, lake: Lake) -> str:
    """Start the run, kill every worker when half of its frames are done, and start the workers again."""
    terminal.step("run", "Run: all workers are killed when half of the frames are done, and started again")
    job = _run(terminal, lake)
    eventually(lambda: _is_half_done(site.client.job(job)), within_s=180)
    for name in WORKERS:
        site.stack.kill(name)
    done = site.client.job(job).frames
    killed = f"SIGKILL to all workers when {done.succeeded} of {done.planned} frames were done"
    terminal.check(done.succeeded * 2 >= done.planned > done.succeeded, killed)
    for name in WORKERS:
        site.stack.start(name)
    terminal.typed(f"maskrelay wait {job} --quiet")
    return job


def _is_half_done(job: JobShown) -> bool:
    return job.planned and job.frames.succeeded * 2 >= job.frames.planned


def _count(terminal: Terminal, site: Site, job: str) -> None:
    """Check that every frame has exactly one outcome, although workers died."""
    shown, items = site.client.job(job), list(site.client.items(job))
    frames = [(item.item, number) for item in items for number, _ in pictures(item)]
    scores = site.endpoint.counters()["rows"]
    terminal.check(shown.state == "succeeded", "the run has succeeded")
    terminal.check(
        len(frames) == len(set(frames)) == shown.frames.planned, f"each of {len(frames)} frames has one outcome"
    )
    terminal.check(scores >= len(frames), f"the endpoint scored {scores} frames, {scores - len(frames)} of them twice")


def _query(terminal: Terminal, site: Site, lake: Lake, job: str) -> None:
    terminal.step("query", "Query: the area of every mask, by series and prompt")
    written = eventually(lambda: has(lake.store, f"maskrelay/jobs/{job}/tabulated.json"), within_s=120)
    terminal.check(written, "the rows are in the tables")
    terminal.typed(f'python query.py "{QUERY.format(run=job)}"')
    counted = re.findall(r"(\d+) +│ +(\d+)", terminal.typed(f'python query.py "{COUNT.format(run=job)}"'))
    masks = str(site.client.job(job).frames.planned * len(PROMPTS))
    terminal.check(counted == [(masks, masks)], f"each of the {masks} masks is one row")


def _archive(terminal: Terminal, site: Site, job: str) -> None:
    terminal.step("archive", "The segmentation of the series is in the archive")
    sent = eventually(lambda: site.client.deliveries(job)[0].state == "delivered", within_s=60)
    terminal.typed(f"maskrelay deliveries {job}")
    terminal.check(sent, "the archive has confirmed the segmentation")
    found = site.archive.post("tools/find", json={"Level": "Instance", "Query": {"Modality": "SEG"}}).json()
    terminal.check(len(found) == 1, "the archive has one object of the modality SEG")


def _repeat(terminal: Terminal, site: Site, lake: Lake) -> None:
    """Run the cohort again, once more, and with one more photograph.

    A worker that is killed between the settlement of its frames and the pointers to their outcomes leaves frames that
    the next run scores again. The run after it scores nothing.
    """
    terminal.step("repeat", "The same run, twice more")
    before = site.endpoint.counters()["rows"]
    for title, most in (("the repeated run", 8), ("the run after it", 0), ("the run with one more photograph", 1)):
        if most == 1:
            terminal.step("extend", "A run with one more photograph")
            lake.store.put("images/eyes/retina-new.jpg", eye(9))
        read = lake.bytes_read()
        again = _run(terminal, lake, "--wait --quiet")
        paid = site.endpoint.counters()["rows"] - before
        before += paid
        terminal.check(site.client.job(again).state == "succeeded", f"{title} has succeeded")
        terminal.check((most == 8 and paid <= 8) or paid == most, f"{title} made {paid} calls to the endpoint")
        dicom, others = (now - then for now, then in zip(lake.bytes_read(), read, strict=True))
        nothing = f"{title} read {dicom} bytes of DICOM objects and {others} bytes of other images"
        terminal.check(most > 0 or (dicom, others) == (0, 0), nothing)
