"""Several files of a job in one response."""

from email import message_from_bytes
from email.message import Message
from pathlib import Path

import httpx
import pytest

from maskrelay.client import Client
from maskrelay.contract.records import keys
from maskrelay.contract.views.job_views import MOST_TOGETHER
from tests.support.drivers.api_jobs import PNG, accepted, failed, finish, plan, settle, succeeded
from tests.support.servers.apis import RunningApi


def parts(answer: httpx.Response) -> list[Message]:
    """Return the parts, as the email parser of the standard library reads them."""
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    found = message_from_bytes(head + answer.content).get_payload()
    assert isinstance(found, list)
    return found


def together(client: httpx.Client, job: str, *names: str) -> httpx.Response:
    return client.get(f"/v1/jobs/{job}/artifacts", params=[("name", name) for name in names])


def test_each_part_is_what_the_file_is_by_itself_in_the_order_of_the_request(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, *(b"%d" % number for number in range(4)))
    finish(api, job, *(succeeded(api, job, number) for number in range(4)))
    names = [f"{number}-{number}-0.mask.png" for number in (2, 0, 1, 2)] + ["result.json"]
    found = parts(together(north, job, *names))
    assert len(found) == len(names)
    for name, part in zip(names, found, strict=True):
        alone = north.get(f"/v1/jobs/{job}/artifacts/{name}")
        assert part.get_payload(decode=True) == alone.content
        for header in ("content-type", "content-length", "content-disposition", "etag"):
            assert part[header] == alone.headers[header]


def test_files_of_a_running_job_can_be_requested_together(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 2, succeeded(api, job, 0), succeeded(api, job, 1))
    found = parts(together(north, job, "1-1-0.mask.png", "0-0-0.mask.png"))
    assert [part.get_payload(decode=True) for part in found] == [PNG, PNG]


def test_a_name_without_a_file_or_another_tenants_job_is_not_found(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    job = accepted(north, b"a", b"b")
    finish(api, job, succeeded(api, job, 0), failed(1))
    assert together(north, job, "0-0-0.mask.png", "1-1-0.mask.png").json()["code"] == "not_found"
    assert together(north, job, "../job.json").json()["code"] == "not_found"
    assert together(south, job, "0-0-0.mask.png").json()["code"] == "not_found"


def test_files_of_many_items_are_read_together_whatever_their_order(api: RunningApi, north: httpx.Client) -> None:
    contents = [PNG + b"%d" % number for number in range(30)]
    job = accepted(north, *contents)
    outcomes = [succeeded(api, job, number, content=content) for number, content in enumerate(contents)]
    finish(api, job, *outcomes)
    order = [*range(29, -1, -3), *range(0, 30, 5), 7, 7]
    found = parts(together(north, job, *(f"{number}-{number}-0.mask.png" for number in order)))
    assert [part.get_payload(decode=True) for part in found] == [contents[number] for number in order]


@pytest.mark.parametrize("count", [0, MOST_TOGETHER + 1])
def test_no_name_or_too_many_are_refused(api: RunningApi, north: httpx.Client, count: int) -> None:
    job = accepted(north, b"a")
    finish(api, job, succeeded(api, job, 0))
    answer = together(north, job, *["0-0-0.mask.png"] * count)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert len(parts(together(north, job, *["0-0-0.mask.png"] * MOST_TOGETHER))) == MOST_TOGETHER


def test_a_file_that_the_store_has_lost_is_an_error_and_not_a_short_body(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    finish(api, job, succeeded(api, job, 0))
    api.storage.delete(keys.mask(job, 0, 0, 0, "0123abcd"))
    alone, several = north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png"), together(north, job, "0-0-0.mask.png")
    assert several.status_code == alone.status_code == 500
    assert several.json()["code"] == alone.json()["code"]


def test_the_client_saves_the_masks_of_a_job_with_one_request(
    api: RunningApi, north: httpx.Client, tmp_path: Path
) -> None:
    job = accepted(north, *(b"%d" % number for number in range(12)))
    finish(api, job, *(succeeded(api, job, number) for number in range(12)))
    requests: list[str] = []
    with Client(str(north.base_url), north.headers["authorization"].removeprefix("Bearer ")) as client:
        client._connection._http.event_hooks["request"].append(lambda request: requests.append(request.url.path))
        saved = client.save(job, tmp_path / "out")
        assert requests.count(f"/v1/jobs/{job}/artifacts") == 1
        assert len([path for path in requests if "/artifacts" in path]) == 1
        assert [file.path.read_bytes() for file in saved] == [PNG] * 24
        assert not list((tmp_path / "out").glob(".*.part"))
        requests.clear()
        assert client.save(job, tmp_path / "out") == saved
        assert all(path.rpartition("/")[2] for path in requests)
