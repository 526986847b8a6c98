"""Jobs and items with methods, and the client for asyncio: the same names, the same answers."""

import asyncio
import inspect
import io
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrelay import errors
from maskrelay.client import AsyncClient, AsyncItem, AsyncJob, Client, Item, Job
from maskrelay.contract.views.job_views import JobShown
from tests.support.servers.scripted_server import Seen
from tests.unit.client.services import JOB, Answer, Service, artifact, job, problem, service, with_files
from tests.unit.client.services import item as item_of
from tests.unit.client.services import items as items_of

LINK = "/v1/jobs/j1/artifacts/"


def methods(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}


@pytest.mark.parametrize(("blocking", "for_asyncio"), [(Client, AsyncClient), (Job, AsyncJob), (Item, AsyncItem)])
def test_what_is_for_asyncio_has_the_same_methods_with_the_same_parameters(blocking: type, for_asyncio: type) -> None:
    def parameters(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(one.name, one.kind, one.default) for one in inspect.signature(value).parameters.values()]
            for name, value in methods(kind).items()
        }

    def without_functions(of: dict[str, Any]) -> str:
        return str({name: [(n, k, "f" if callable(d) else d) for n, k, d in rows] for name, rows in of.items()})

    assert without_functions(parameters(blocking)) == without_functions(parameters(for_asyncio))


def test_a_submitted_job_is_the_model_and_has_methods(tmp_path: Path) -> None:
    shown = items_of(item_of("a", mask=f"{LINK}m.png"))
    answers = [job(state="accepted"), job(state="running"), job(), job(state="cancelling")]
    with service(*answers, with_files(shown, artifact(b"m", "attachment; filename=m.png"))) as one:
        submitted = one.client.submit(b"x", "disc")
        assert isinstance(submitted, JobShown)
        assert (submitted.id, submitted.state) == ("j1", "accepted")
        assert JobShown.model_validate(submitted.model_dump()) == JobShown.model_validate({**JOB, "state": "accepted"})
        assert submitted.status().state == "running"
        assert submitted.wait().state == "succeeded"
        assert submitted.cancel().state == "cancelling"
        assert [item.custom_id for item in submitted.items()] == ["a"]
        assert [file.path.name for file in submitted.save(tmp_path)] == ["m.png"]


def ended_with_items() -> tuple[Answer, ...]:
    """The answers of a service: to a submission, with the items of the job, and to the request for its only file."""
    shown = item_of("a", mask=f"{LINK}m.png")
    return job(items=[shown]), artifact(b"m", "attachment; filename=m.png")


def test_items_that_came_with_the_job_are_not_requested_again(tmp_path: Path) -> None:
    with service(*ended_with_items()) as one:
        submitted = one.client.submit(b"x", "disc", wait_s=9)
        assert [file.path.name for file in submitted.save(tmp_path)] == ["m.png"]
        assert [line.split("?")[0] for line in one.lines] == ["POST /v1/jobs", f"GET {LINK}m.png"]


def test_items_that_came_with_the_job_are_not_requested_again_for_asyncio(tmp_path: Path) -> None:
    async def saved(url: str) -> list[str]:
        async with AsyncClient(url, "key") as client:
            submitted = await client.submit(b"x", "disc", wait_s=9)
            return [file.path.name for file in await submitted.save(tmp_path)]

    with service(*ended_with_items()) as one:
        assert asyncio.run(saved(one.url)) == ["m.png"]
        assert [line.split("?")[0] for line in one.lines] == ["POST /v1/jobs", f"GET {LINK}m.png"]


def png(pixels: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


MASK = np.array([[0, 255, 0], [255, 255, 0]], np.uint8)


def test_a_mask_is_an_array_and_an_overlay_a_picture() -> None:
    shown = items_of(item_of("a", mask=f"{LINK}m.png", overlay=f"{LINK}o.png"))
    colours = np.zeros((2, 3, 3), np.uint8)
    with service(with_files(shown, artifact(png(MASK), ""), artifact(png(colours), ""))) as one:
        (item,) = one.client.items("j1")
        mask, overlay = item.mask("disc"), item.overlay()
        assert mask.dtype == np.bool_
        assert np.array_equal(mask, MASK > 0)
        assert (overlay.size, overlay.mode) == ((3, 2), "RGB")
        with pytest.raises(errors.OptionInvalid, match=r"'cup' is not a prompt\. The prompts with a mask: 'disc'"):
            item.mask("cup")
        with pytest.raises(errors.OptionInvalid, match="no frame 1"):
            item.mask("disc", 1)
        assert "<td>disc</td>" in item._repr_html_()


def test_masks_of_several_frames_are_stacked_and_what_was_not_made_says_how_to_get_it() -> None:
    frames = [
        {"frame": number, "state": "succeeded", "masks": item_of("a", mask=f"{LINK}{number}.png")["masks"]}
        for number in range(2)
    ]
    without = item_of("b")
    shown = items_of({"custom_id": "a", "state": "succeeded", "frames": frames}, without)
    files = [artifact(png(MASK), ""), artifact(png(255 - MASK), "")]
    with service(with_files(shown, *files)) as one:
        series, other = one.client.items("j1")
        assert np.array_equal(series.mask("disc"), np.stack([MASK > 0, MASK == 0]))
        assert np.array_equal(series.mask("disc", frame=1), MASK == 0)
        with pytest.raises(errors.OptionInvalid, match="2 frames"):
            series.overlay()
        with pytest.raises(errors.NotFound, match="outputs="):
            other.mask("disc")
        with pytest.raises(errors.NotFound, match="outputs="):
            other.overlay()


def test_a_file_in_an_object_store_is_read_there_without_the_key() -> None:
    shown = items_of(item_of("a", mask=f"{LINK}m.png"))
    with service(Answer(200, png(MASK))) as store:
        moved = Answer(307, b"", (("location", f"{store.url}/m?signed=1"), ("etag", '"1"')))
        with service(with_files(shown, moved)) as one:
            (item,) = one.client.items("j1")
            assert item.mask("disc").shape == (2, 3)
        assert "authorization" not in store.server.seen[0].headers


def completing(seen: Seen, states: Iterator[str], pages: Iterator[list[str]]) -> Answer:
    if "/items" in seen.line:
        listed = [{"custom_id": name, "state": "succeeded"} for name in next(pages)]
        return Answer(200, {"items": [*listed, {"custom_id": "z", "state": "running"}], "next": None})
    return job(state=next(states))


def test_items_come_as_they_end_each_once_until_the_job_has_ended() -> None:
    states, pages = iter(["running", "running", "succeeded"]), iter([["b"], ["b", "c"], ["a", "b", "c"]])
    with service(lambda seen: completing(seen, states, pages)) as one:
        assert [item.custom_id for item in one.client.items("j1", as_completed=True)] == ["b", "c", "a"]


def event(number: int, state: str, *, ending: bytes = b"\n") -> bytes:
    document = json.dumps({**JOB, "state": state}).encode()
    lines = [b"id: %d" % number, b"event: job", b": heartbeat", b"data: " + document, b"", b""]
    return ending.join(lines)


def stream(*events: bytes) -> Answer:
    """A stream that ends with its last event, or breaks there."""
    return Answer(200, b"".join(events), (("content-type", "text/event-stream"),))


def test_events_are_read_and_a_lost_stream_continues_after_the_last_event() -> None:
    busy = problem(503, "ledger_unavailable", retryable=True, retry_after_s=0)
    second = stream(event(2, "running", ending=b"\r\n"), event(3, "succeeded"), event(4, "succeeded"))
    with service(stream(event(1, "running")), busy, second) as one:
        events = list(one.client.events("j1"))
        assert [(one.id, one.type, one.job and one.job.state) for one in events[:3]] == [
            ("1", "job", "running"),
            ("2", "job", "running"),
            ("3", "job", "succeeded"),
        ]
        assert [seen.headers.get("last-event-id") for seen in one.server.seen] == [None, "1", "1"]
        assert one.server.seen[0].headers["accept"] == "text/event-stream"


def test_events_of_an_unknown_job_are_its_error_with_what_to_do() -> None:
    with service(problem(404, "not_found")) as one, pytest.raises(errors.NotFound) as caught:
        list(one.client.events("j1"))
    assert caught.value.__notes__ == ["Check the id, and that the job belongs to your key."]


async def everything(one: Service, folder: Path) -> dict[str, Any]:
    async with AsyncClient(one.url, "the-key", timedelta(seconds=5)) as client:
        files = [f"file-{n}".encode() for n in range(45)]
        submitted = await client.submit(files, "disc", custom_ids=[str(n) for n in range(45)])
        ended = await submitted.wait(on_progress=lambda _job: None)
        (item,) = [item async for item in ended.items()]
        return {
            "state": ended.state,
            "files": [file.path.name for file in await ended.save(folder)],
            "mask": await item.mask("disc"),
            "overlay": (await item.overlay()).size,
            "jobs": [listed.id async for listed in client.jobs()],
            "completed": [done.custom_id async for done in client.items("j1", as_completed=True)],
            "events": [one.id async for one in ended.events()],
        }


def test_the_client_for_asyncio_does_the_same_work(tmp_path: Path) -> None:
    shown = items_of(item_of("a", mask=f"{LINK}m.png", overlay=f"{LINK}o.png"))
    colours = png(np.zeros((2, 3, 3), np.uint8))
    files = with_files(shown, artifact(png(MASK), ""), artifact(colours, ""))

    def answer(seen: Seen) -> Answer:
        path = seen.line.split()[1]
        if path == "/v1/uploads":
            many = seen.body.count(b'filename="')
            return Answer(201, {"uploads": [{"id": "u", "size": 1, "sha256": "0" * 64}] * many})
        if path == "/v1/jobs":
            return Answer(200, {"jobs": [JOB], "next": None}) if seen.line.startswith("GET") else job()
        if path.endswith("/events"):
            return stream(event(7, "succeeded"))
        return job() if path == "/v1/jobs/j1" else files(seen)

    with service(answer) as one:
        done = asyncio.run(everything(one, tmp_path))
        sent = json.loads(next(seen for seen in one.server.seen if seen.line.startswith("POST /v1/jobs")).body)
    assert len(sent["items"]) == 45
    assert np.array_equal(done.pop("mask"), MASK > 0)
    assert done == {
        "state": "succeeded",
        "files": ["m.png", "o.png"],
        "overlay": (3, 2),
        "jobs": ["j1"],
        "completed": ["a"],
        "events": ["7"],
    }


def test_an_error_of_one_upload_ends_the_others_and_is_raised() -> None:
    with service(problem(429, "quota_reached")) as one, pytest.raises(errors.QuotaReached):
        one.client.submit([b"x"] * 45, "disc")
    with service(problem(429, "quota_reached")) as one:

        async def submit() -> None:
            async with AsyncClient(one.url, "k") as client:
                await client.submit([b"x"] * 45, "disc")

        with pytest.raises(errors.QuotaReached):
            asyncio.run(submit())


def mapping(seen: Seen) -> Answer:
    """The job of one batch has the number of its only file as id, and one item of that name."""
    if seen.line.startswith("POST"):
        name = seen.body.partition(b"file-")[2][:1].decode()
        return job(id=f"j{name}", state="accepted")
    name = seen.line.split("/jobs/j")[1][0]
    if "/items" in seen.line:
        return Answer(200, {"items": [{"custom_id": name, "state": "succeeded"}], "next": None})
    return job(id=f"j{name}")


def test_map_reads_no_further_than_its_jobs_and_a_repeat_finds_the_same_jobs() -> None:
    read: list[int] = []

    def files() -> Iterator[bytes]:
        for number in range(6):
            read.append(number)
            yield f"file-{number}".encode()

    keys = []
    with service(mapping) as one:
        for _ in range(2):
            read.clear()
            one.server.seen.clear()
            mapped = one.client.map(files(), "disc", batch=1, jobs=2)
            assert next(mapped).custom_id == "0"
            assert read == [0, 1]
            assert [item.custom_id for item in mapped] == ["1", "2", "3", "4", "5"]
            keys.append([seen.headers["idempotency-key"] for seen in one.server.seen if seen.line[0] == "P"])
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 6


def test_a_notebook_sees_a_table_and_names_do_not_become_markup() -> None:
    shown = Answer(
        200, {"items": [{"custom_id": "<b>", "state": "failed", "error": {"code": "truncated"}}], "next": None}
    )
    with service(job(), shown) as one:
        assert "<td>j1</td>" in one.client.job("j1")._repr_html_()
        (item,) = one.client.items("j1")
    assert "truncated" in item._repr_html_()
    assert "<b>" not in item._repr_html_()


def test_waiting_in_a_terminal_moves_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with service(job(state="running", frames={"planned": 4, "succeeded": 1}), job()) as one:
        handle = one.client.job("j1")
        handle.wait()
    assert "succeeded" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
