"""The run card: what it counts and shows, that it is one file, and that it names no person."""

import io
import re
from html.parser import HTMLParser

import httpx
import pytest
from PIL import Image

from maskrelay.contract.records.job import Result
from maskrelay.contract.records.outcomes import Outcome
from tests.support.drivers.api_jobs import accepted, failed, settle, succeeded
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.servers.apis import RunningApi


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 400), colour).save(out, "PNG")
    return out.getvalue()


class Links(HTMLParser):
    """The addresses and the kinds of elements in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.kinds: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(tag)
        self.sources += [str(value) for name, value in attrs if name in {"src", "href"}]


def flagged(outcome: Outcome, *flags: str) -> Outcome:
    masks = tuple(mask.model_copy(update={"flags": flags, "prompt": "<b>disc</b>"}) for mask in outcome.masks)
    return outcome.model_copy(update={"masks": masks})


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    made = accepted(north, b"a", b"b", b"c", options={"outputs": ["mask", "report"]})
    planned(api)
    first = flagged(succeeded(api, made, 0, content=picture("red")), "max_le_1")
    settle(api, made, 1, first, succeeded(api, made, 1, content=picture("blue")), failed(2))
    return made


def card(north: httpx.Client, job: str) -> httpx.Response:
    link = north.get(f"/v1/jobs/{job}").json()["links"]["report"]
    answer = north.get(link)
    assert answer.status_code == 200
    return answer


def test_the_card_counts_what_came_out_and_shows_pictures(api: RunningApi, north: httpx.Client, job: str) -> None:
    result = finished(api, job)
    answer = card(north, job)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    page = answer.text
    for caption, value in (
        ("items succeeded", 2),
        ("items failed", 1),
        ("masks", 2),
        ("truncated", 1),
        ("max_le_1", 1),
    ):
        assert f'<th scope="row">{caption}</th><td class="number">{value}</td>' in page, caption
    assert result.notice in page
    assert result.software["maskrelay"] in page
    suspicious, random = page.split("<h2>The most suspicious items</h2>")[1].split("<h2>Random items</h2>")
    assert re.findall(r"Item (\d+)", suspicious) == ["0", "0"]  # the alternative text, and the caption
    assert set(re.findall(r"Item (\d+)", random)) == {"0", "1"}


def test_the_card_is_one_file_without_scripts_or_names(api: RunningApi, north: httpx.Client, job: str) -> None:
    finished(api, job)
    page = card(north, job).text
    links = Links(page)
    assert all(source.startswith("data:image/jpeg;base64,") for source in links.sources)
    assert len(links.sources) == 3
    assert "script" not in links.kinds
    assert "b" not in links.kinds, "a prompt is text, whatever it contains"
    assert "&lt;b&gt;disc&lt;/b&gt;" in page
    assert "eye 0" not in page  # the file name


def test_the_card_is_named_by_the_result_and_is_made_only_when_asked_for(api: RunningApi, north: httpx.Client) -> None:
    plain = accepted(north, b"a", options={"outputs": ["mask"]})
    planned(api)
    settle(api, plain, 1, succeeded(api, plain, 0))
    result: Result = finished(api, plain)
    assert result.report is None
    assert "report" not in north.get(f"/v1/jobs/{plain}").json()["links"]
    assert north.get(f"/v1/jobs/{plain}/artifacts/report.html").status_code == 404


def test_a_picture_that_cannot_be_read_is_left_out(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", options={"outputs": ["report"]})
    planned(api)
    settle(api, job, 1, succeeded(api, job, 0))  # its overlay is no PNG
    finished(api, job)
    assert "(no picture)" in card(north, job).text
