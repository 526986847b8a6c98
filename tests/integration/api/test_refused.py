"""Every request that is refused: by which status, which code, and where; and that it leaves nothing behind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.drivers.api_jobs import PROMPT, submit
from tests.support.servers.apis import (
    KEYS,
    SMALL_LIMITS,
    RunningApi,
    running_api,
    write_keys,
)

HOOK = "http://127.0.0.1:9/hook"
SECRET = "whsec_" + "QUJD" * 8


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, api_valkey: str) -> Iterator[RunningApi]:
    """One for all of these: a refused request changes nothing."""
    with running_api(tmp_path_factory.mktemp("refused") / "store", api_valkey, **SMALL_LIMITS) as running:
        yield running


@pytest.fixture
def unchanged(api: RunningApi) -> Iterator[None]:
    """The test leaves no file behind that was not there."""
    before = api.files()
    yield
    assert api.files() == before


def check_problem(answer: httpx.Response, status: int, code: str, pointer: str | None) -> dict[str, Any]:
    """The answer is this problem, whole and well-formed."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), answer.text
    assert problem["type"].endswith(code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    assert isinstance(problem["retryable"], bool)
    assert len(problem["trace_id"]) == 32
    assert [place["pointer"] for place in problem["errors"]] == ([pointer] if pointer else [])
    return problem


FORMS = [
    pytest.param({"prompts": ["liver & spleen"]}, "prompt_has_ampersand", "#/prompt/0", id="ampersand"),
    pytest.param({"prompts": [PROMPT, "  "]}, "prompt_empty", "#/prompt/1", id="empty prompt"),
    pytest.param({"prompts": ["x" * 41]}, "prompt_too_long", "#/prompt/0", id="long prompt"),
    pytest.param({"prompts": ["x" * 1000]}, "prompt_too_long", "#/prompt", id="endless prompt"),
    pytest.param({"prompts": ["liver\nspleen"]}, "prompt_has_control", "#/prompt/0", id="line break"),
    pytest.param({"prompts": []}, "no_prompts", "#/prompt", id="no prompts"),
    pytest.param({"prompts": ["a", "b", "c", "d"]}, "too_many_prompts", "#/prompt", id="many prompts"),
    pytest.param({"options": {"colour": 1}}, "option_unknown", "#/options/colour", id="unknown option"),
    pytest.param({"options": {"a/b~": 1}}, "option_unknown", "#/options/a~1b~0", id="awkward option"),
    pytest.param({"options": {"outputs": ["mask", "stl"]}}, "option_invalid", "#/options/outputs", id="output"),
    pytest.param({"options": {"outputs": []}}, "option_invalid", "#/options/outputs", id="no output"),
    pytest.param({"options": {"lane": "fast"}}, "option_invalid", "#/options/lane", id="lane"),
    pytest.param({"options": {"metadata": [1]}}, "option_invalid", "#/options/metadata", id="metadata"),
    pytest.param({"options": {"metadata": {"a": "x" * 17_000}}}, "option_invalid", "#/options/metadata", id="much"),
    pytest.param({"options": {"callback": {}}}, "option_invalid", "#/options/callback/url", id="no callback URL"),
    pytest.param(
        {"options": {"callback": {"url": HOOK, "retries": 3}}},
        "option_unknown",
        "#/options/callback/retries",
        id="unknown callback option",
    ),
    pytest.param(
        {"options": {"callback": {"url": HOOK, "secret": "short"}}},
        "option_invalid",
        "#/options/callback/secret",
        id="callback secret",
    ),
    *(
        pytest.param(
            {"options": {"callback": {"url": HOOK, "secret": secrets}}},
            "option_invalid",
            "#/options/callback/secret",
            id=f"callback secrets {number}",
        )
        for number, secrets in enumerate([[], [SECRET] * 3, [SECRET, "short"], [SECRET, None], [f"{SECRET} {SECRET}"]])
    ),
    pytest.param(
        {"options": {"callback": {"url": HOOK, "events": ["job.lost"]}}},
        "option_invalid",
        "#/options/callback/events",
        id="callback event",
    ),
    pytest.param(
        {"options": {"callback": {"url": "http://169.254.169.254/latest"}}},
        "callback_forbidden",
        "#/options/callback/url",
        id="metadata address",
    ),
    pytest.param(
        {"options": {"callback": {"url": "http://[::ffff:10.0.0.1]/"}}},
        "callback_forbidden",
        "#/options/callback/url",
        id="mapped private address",
    ),
    pytest.param(
        {"options": {"callback": {"url": "http://xn--a.example/"}}},
        "callback_forbidden",
        "#/options/callback/url",
        id="name that is not valid",
    ),
]


@pytest.mark.parametrize(("form", "code", "pointer"), FORMS)
def test_a_form_is_refused_by_code_and_place_and_leaves_nothing(
    unchanged: None, north: httpx.Client, form: dict[str, Any], code: str, pointer: str
) -> None:
    check_problem(submit(north, b"pixels", **form), 422, code, pointer)


def one(**item: Any) -> Callable[[str], Any]:
    return lambda upload: {"items": [{"upload": upload, **item}]}


BODIES = [
    pytest.param(lambda _: {"prompts": [PROMPT]}, 422, "no_items", None, id="no items"),
    pytest.param(lambda _: {"items": [], "prompts": [PROMPT]}, 422, "no_items", None, id="empty items"),
    pytest.param(one(), 422, "no_prompts", "#/items/0/prompts", id="no prompts"),
    pytest.param(one(prompts=["a&b"]), 422, "prompt_has_ampersand", "#/items/0/prompts/0", id="item's prompt"),
    pytest.param(one(prompts=["a"] * 4), 422, "too_many_prompts", "#/items/0/prompts", id="item's prompts"),
    pytest.param(one(prompts="liver"), 400, "malformed", "#/items/0/prompts", id="prompts as text"),
    pytest.param(one(prompts=[7]), 400, "malformed", "#/items/0/prompts/0", id="prompt as number"),
    pytest.param(one(colour=1), 422, "option_unknown", "#/items/0/colour", id="unknown member"),
    pytest.param(one(custom_id=7, prompts=["a"]), 400, "malformed", "#/items/0/custom_id", id="custom_id"),
    pytest.param(one(custom_id="", prompts=["a"]), 422, "option_invalid", "#/items/0/custom_id", id="empty id"),
    pytest.param(lambda _: {"items": [{}], "prompts": ["a"]}, 400, "malformed", "#/items/0/upload", id="no upload"),
    pytest.param(
        lambda _: {"items": [{"upload": "../" + "a" * 26}], "prompts": ["a"]},
        422,
        "upload_unknown",
        "#/items/0/upload",
        id="upload that is no id",
    ),
    pytest.param(
        lambda upload: {"items": [{"upload": upload}, {"upload": "a" * 26}], "prompts": ["a"]},
        422,
        "upload_unknown",
        "#/items/1/upload",
        id="unknown upload",
    ),
    pytest.param(
        lambda upload: {"items": [{"upload": upload}] * 31, "prompts": ["a"]},
        422,
        "too_many_items",
        "#/items",
        id="too many items",
    ),
    pytest.param(
        lambda upload: {"items": [{"upload": upload, "custom_id": "x"}] * 2, "prompts": ["a"]},
        422,
        "custom_id_duplicate",
        "#/items/1/custom_id",
        id="same custom_id twice",
    ),
    pytest.param(
        lambda upload: {"items": [{"upload": upload, "custom_id": "1"}, {"upload": upload}], "prompts": ["a"]},
        422,
        "custom_id_duplicate",
        "#/items/0/custom_id",
        id="custom_id that is another's index",
    ),
    pytest.param(
        lambda upload: {"items": [{"upload": upload}] * 21, "prompts": ["a"], "options": {"lane": "interactive"}},
        422,
        "lane_forbidden",
        "#/options/lane",
        id="interactive lane for many",
    ),
    pytest.param(lambda _: {"item": []}, 422, "option_unknown", "#/item", id="unknown top member"),
    pytest.param(lambda _: [], 400, "malformed", "#", id="a list"),
]


@pytest.mark.parametrize(("body", "status", "code", "pointer"), BODIES)
def test_a_json_body_is_refused_by_code_and_place_and_makes_no_job(
    api: RunningApi, north: httpx.Client, body: Callable[[str], Any], status: int, code: str, pointer: str | None
) -> None:
    upload = north.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    before = api.objects()
    check_problem(north.post("/v1/jobs", json=body(upload)), status, code, pointer)
    assert api.objects() == before


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b'{"items": NaN}', b'{"metadata": "\\ud800"}', b"[" * 100_000, b"1" * 5000]
)
def test_what_is_no_json_is_malformed(north: httpx.Client, raw: bytes) -> None:
    check_problem(
        north.post("/v1/jobs", content=raw, headers={"content-type": "application/json"}), 400, "malformed", "#"
    )


def test_too_many_files_are_refused_by_number(unchanged: None, north: httpx.Client) -> None:
    check_problem(submit(north, *([b"x"] * 31)), 422, "too_many_items", "#/image")


def test_a_file_that_is_too_large_is_413_and_leaves_nothing(unchanged: None, north: httpx.Client) -> None:
    problem = check_problem(submit(north, b"small", b"x" * 300_001), 413, "body_too_large", "#/image/1")
    assert "MASKRELAY_MAX_IMAGE_BYTES" in problem["detail"]


def test_options_that_are_too_long_are_413(north: httpx.Client) -> None:
    check_problem(submit(north, b"x", options={"metadata": {"a": "x" * 70_000}}), 413, "body_too_large", "#/options")


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"files": [("file", ("a.png", b"x"))], "data": {"prompt": "a"}}, "#/file"),
        ({"files": [("image", ("a.png", b"x"))], "data": {"options": ["{}", "{}"], "prompt": "a"}}, "#/options"),
        ({"files": [("image", ("a.png", b"x")), ("prompt", (None, b"\xff"))]}, "#/prompt/0"),
        ({"files": [("image", ("a.png", b"x"))], "data": {"options": "{", "prompt": "a"}}, "#/options"),
    ],
    ids=["unknown field", "options twice", "prompt not UTF-8", "options not JSON"],
)
def test_a_form_that_cannot_be_read_is_malformed(
    unchanged: None, north: httpx.Client, form: dict[str, Any], pointer: str
) -> None:
    check_problem(north.post("/v1/jobs", **form), 400, "malformed", pointer)


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b"nothing of the kind"),
        ("multipart/form-data; boundary=" + "x" * 300, b""),
        ("text/plain", b"liver"),
        ("", b""),
    ],
)
def test_a_body_of_another_kind_is_malformed(north: httpx.Client, content_type: str, raw: bytes) -> None:
    answer = north.post("/v1/jobs", content=raw, headers={"content-type": content_type})
    check_problem(answer, 400, "malformed", None)


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "tab\tin it"])
def test_an_idempotency_key_that_cannot_be_one_is_malformed(north: httpx.Client, key: str) -> None:
    check_problem(submit(north, b"x", headers={"Idempotency-Key": key}), 400, "malformed", None)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic bm9ydGg6", "north"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/nowhere")])
def test_without_a_known_key_everything_is_401(api: RunningApi, method: str, path: str, authorization: str) -> None:
    answer = httpx.request(method, api.url + path, headers={"authorization": authorization}, trust_env=False)
    check_problem(answer, 401, "unauthenticated", None)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("key", "method", "path", "status"),
    [
        ("reader", "POST", "/v1/jobs", 403),
        ("reader", "POST", "/v1/uploads", 403),
        ("reader", "POST", f"/v1/jobs/{'a' * 26}/cancel", 403),
        ("reader", "GET", "/v1/jobs", 200),
        ("writer", "GET", "/v1/jobs", 403),
        ("writer", "GET", f"/v1/jobs/{'a' * 26}", 403),
        ("writer", "POST", "/v1/uploads", 201),
        ("admin", "POST", "/v1/uploads", 201),
        ("admin", "GET", "/v1/jobs", 200),
    ],
)
def test_a_key_does_what_its_scopes_allow(api: RunningApi, key: str, method: str, path: str, status: int) -> None:
    with api.client(key) as client:
        answer = client.request(method, path, content=b"pixels" if method == "POST" else None)
    assert answer.status_code == status
    if status == 403:
        check_problem(answer, 403, "scope_missing", None)


def test_keys_are_read_again_when_their_file_changes_and_kept_when_it_is_broken(api: RunningApi) -> None:
    path = api.folder.parent / "keys.json"
    with api.client("new key") as client:
        assert client.get("/v1/jobs").status_code == 401
        write_keys(path, {**KEYS, "new key": ("west", ["read"])})
        assert client.get("/v1/jobs").status_code == 200
        path.write_text("[{")
        assert client.get("/v1/jobs").status_code == 200
        write_keys(path, KEYS)
        assert client.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "pointer"),
    [
        ("GET", "/v2/jobs", 404, "not_found", None),
        ("DELETE", "/v1/jobs", 405, "method_not_allowed", None),
        ("GET", "/v1/jobs?limit=many", 400, "malformed", "#/query/limit"),
        ("GET", "/v1/jobs?limit=0", 400, "malformed", "#/query/limit"),
        ("GET", "/v1/jobs?cursor=%00", 400, "malformed", "#/query/cursor"),
        ("GET", "/v1/jobs/..%2f..%2fjobs", 404, "not_found", None),
        ("GET", f"/v1/jobs/{'a' * 26}", 404, "not_found", None),
    ],
)
def test_the_frameworks_own_refusals_are_problems_too(
    north: httpx.Client, method: str, path: str, status: int, code: str, pointer: str | None
) -> None:
    answer = north.request(method, path)
    check_problem(answer, status, code, pointer)
    assert ("allow" in answer.headers) == (status == 405)


def test_the_callers_trace_is_the_problems_trace(north: httpx.Client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = north.get("/v1/nothing", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert json.loads(answer.text)["trace_id"] == trace
