"""The files of a job: which names have one, with which headers they come, and the names under which they are saved."""

import hashlib
import io
from datetime import datetime, timedelta
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import unquote

import httpx
import pytest
from PIL import Image

from maskrelay.contract.records import keys
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import PNG, accepted, failed, finish, plan, settle, succeeded
from tests.support.drivers.driven_jobs import frames_of, planned
from tests.support.servers.apis import RunningApi


@pytest.mark.parametrize("ended", [False, True])
def test_an_artifact_is_the_file_that_the_visible_outcome_names(
    api: RunningApi, north: httpx.Client, ended: bool
) -> None:
    content = PNG + bytes(range(256)) * 10_000
    job = accepted(north, b"a", b"b")
    plan(api, job)
    outcomes = [succeeded(api, job, 0), succeeded(api, job, 1, content=content)]
    settle(api, job, 1, *outcomes)
    if ended:
        finish(api, job, *outcomes)
    for item in north.get(f"/v1/jobs/{job}/items").json()["items"]:
        for url in (item["masks"][0]["links"]["mask"], item["links"]["overlay"]):
            answer = north.get(url)
            wanted = content if item["custom_id"] == "1" else PNG
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
            assert answer.content == wanted
            assert answer.headers["content-length"] == str(len(wanted))
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["etag"] == f'"{hashlib.sha256(wanted).hexdigest()}"'
            again = north.get(url, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


def test_a_file_of_an_ended_job_has_a_date_and_is_sent_only_if_it_is_newer(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, b"a")
    plan(api, job)
    outcome = succeeded(api, job, 0)
    settle(api, job, 1, outcome)
    url = f"/v1/jobs/{job}/artifacts/0-0-0.mask.png"
    # until the job has ended, another outcome may replace this one
    always = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert "last-modified" not in north.get(url).headers
    assert north.get(url, headers=always).status_code == 200
    finish(api, job, outcome)
    first = north.get(url)
    modified, etag = first.headers["last-modified"], first.headers["etag"]
    manifest = north.get(f"/v1/jobs/{job}/artifacts/result.json")
    finished = datetime.fromisoformat(manifest.json()["finished_at"])
    assert manifest.headers["last-modified"] == modified
    assert parsedate_to_datetime(modified) == finished.replace(microsecond=0)
    before = {"If-Modified-Since": format_datetime(finished - timedelta(days=1), usegmt=True)}
    known = {"If-Modified-Since": modified}
    asked = [
        known,
        before,
        known | {"If-None-Match": etag},
        known | {"If-None-Match": '"x"'},
        {"If-Modified-Since": "x"},
        {"If-Modified-Since": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"If-Modified-Since": "Mon, 01 Jan 2020 00:00:00 -99999999999999"},
    ]
    assert [north.get(url, headers=headers).status_code for headers in asked] == [304, 200, 304, 200, 200, 200, 200]
    ranged = {"Range": "bytes=0-3"}
    versions = [modified, etag, before["If-Modified-Since"], '"x"']
    parts = [north.get(url, headers=ranged | {"If-Range": version}) for version in versions]
    assert [(part.status_code, len(part.content)) for part in parts] == [
        (206, 4),
        (206, 4),
        (200, len(PNG)),
        (200, len(PNG)),
    ]


def test_an_artifact_within_a_larger_object_is_cut_out_of_it(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    outcome = succeeded(api, job, 0)
    mask = outcome.masks[0]
    assert mask.mask is not None
    packed = keys.outcome_part(job, "packed")
    api.storage.put(packed, b"before" + PNG + b"behind")
    inside = mask.mask.model_copy(update={"key": packed, "offset": 6, "length": len(PNG)})
    finish(api, job, outcome.model_copy(update={"masks": (mask.model_copy(update={"mask": inside}),)}))
    assert north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png").content == PNG


def test_the_human_name_stands_in_the_disposition_alone_and_injects_nothing(
    api: RunningApi, north: httpx.Client
) -> None:
    awkward = 'Müller "x"; filename=evil\u2028.png'
    files = [("image", (awkward, b"x"))]
    job = north.post("/v1/jobs", files=files, data={"prompt": "left/right  Lung"}).json()["id"]
    finish(api, job, succeeded(api, job, 0))
    answer = north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png")
    said = Message()
    said["content-disposition"] = answer.headers["content-disposition"]
    assert said.get_content_disposition() == "attachment"
    encoded = answer.headers["content-disposition"].split("filename*=UTF-8''")[1]
    assert unquote(encoded) == "Müller %22x%22; filename=evil-left-right-lung.mask.png"
    assert set('";= \r\n').isdisjoint(encoded)
    plain = answer.headers["content-disposition"].split('filename="')[1].split('"')[0]
    assert plain == "Muller_22x_22_filename_evil-left-right-lung.mask.png"


def named(answer: httpx.Response) -> str:
    return unquote(answer.headers["content-disposition"].split("filename*=UTF-8''")[1])


def test_a_pictures_file_is_named_alike_alone_and_behind_a_file_of_several_frames(
    api: RunningApi, north: httpx.Client
) -> None:
    two_pages = io.BytesIO()
    Image.new("L", (40, 30)).save(two_pages, "TIFF", save_all=True, append_images=[Image.new("L", (40, 30))])
    still = saved(gradient(40, 30), "PNG")
    names = {}
    for files in ([("still.png", still)], [("pages.tif", two_pages.getvalue()), ("still.png", still)]):
        form = {"prompt": "liver"}
        job = north.post("/v1/jobs", files=[("image", file) for file in files], data=form).json()["id"]
        planned(api)
        plan = [(frame.frame, frame.item, frame.index) for frame in frames_of(api, job)]
        settle(api, job, 1, *(succeeded(api, job, n, item=item, index=index) for n, item, index in plan))
        last = f"{len(files) - 1}-{len(plan) - 1}-0.mask.png"
        running = named(north.get(f"/v1/jobs/{job}/artifacts/{last}"))
        pages = [named(north.get(f"/v1/jobs/{job}/artifacts/0-{n}-0.mask.png")) for n in range(len(plan) - 1)]
        names[len(files)] = (running, pages)
    assert names[1] == ("still-liver.mask.png", [])
    assert names[2] == ("still-liver.mask.png", ["pages-0000-liver.mask.png", "pages-0001-liver.mask.png"])


@pytest.mark.parametrize(
    ("sent", "shown", "stem"),
    [
        ("ward a/eye.png", "ward a/eye.png", "eye"),
        ("../../etc/passwd", "etc/passwd", "passwd"),
        ("/home/someone/eye.png", "eye.png", "eye"),
        ("C:\\Users\\someone\\eye.png", "eye.png", "eye"),
        ("scans\\eye.png", "scans/eye.png", "eye"),
        ("1.2.840.113619.2.55", "1.2.840.113619.2.55", "1.2.840.113619.2.55"),
        ("IM.0001", "IM.0001", "IM.0001"),
        ("brain.nii.gz", "brain.nii.gz", "brain"),
        (".png", ".png", ".png"),
    ],
)
def test_a_source_keeps_its_folders_and_its_file_is_named_by_its_own_name(
    api: RunningApi, north: httpx.Client, sent: str, shown: str, stem: str
) -> None:
    job = north.post("/v1/jobs", files=[("image", (sent, b"x"))], data={"prompt": "liver"}).json()["id"]
    finish(api, job, succeeded(api, job, 0))
    (item,) = north.get(f"/v1/jobs/{job}/items").json()["items"]
    assert item["source_name"] == shown
    assert named(north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png")) == f"{stem}-liver.mask.png"


NOT_NAMED = [
    "0-0-1.mask.png",
    "0-0-0.probability.png",
    "0-1-0.mask.png",
    "1-0-0.mask.png",
    "99-99-0.mask.png",
    "00-0-0.mask.png",
    "٠-0-0.mask.png",
    "0-0-0.mask.png.",
    "0-0-0.0123abcd.mask.png",
    "job.json",
    "..%2fjob.json",
    "%2e%2e/job.json",
    "..%2f..%2f..%2fkeys.json",
    "0/0-0.0123abcd.mask.png",
    "%00",
    "0-0-0.mask.png%0a",
    "999999999999999999999-0-0.mask.png",
]


@pytest.mark.parametrize("ended", [False, True])
def test_a_name_that_no_outcome_names_is_404(api: RunningApi, north: httpx.Client, ended: bool) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    if ended:
        finish(api, job, succeeded(api, job, 0), failed(1))
    answers = {name: north.get(f"/v1/jobs/{job}/artifacts/{name}") for name in NOT_NAMED}
    refused = {name: (answer.status_code, answer.json()["code"]) for name, answer in answers.items()}
    assert refused == dict.fromkeys(NOT_NAMED, (404, "not_found"))
    assert north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png").status_code == 200


def test_the_manifest_is_there_once_the_job_has_ended(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    assert north.get(f"/v1/jobs/{job}/artifacts/result.json").status_code == 404
    finish(api, job, failed(0))
    answer = north.get(north.get(f"/v1/jobs/{job}").json()["links"]["result"])
    assert answer.content == api.storage.get(keys.result(job))
    assert answer.headers["content-type"] == "application/json"
    assert "research use only" in answer.json()["notice"]
