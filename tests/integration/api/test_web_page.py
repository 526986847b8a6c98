"""The files of the web page: what a browser gets without a key, and what it may do with them."""

import gzip
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from api.http.middleware.web_page import FOLDER, read_files
from tests.support.servers.apis import running_api
from tests.support.servers.issuers import AUDIENCE, Issuer, issuer


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, api_valkey: str) -> Iterator[httpx.Client]:
    with (
        running_api(tmp_path_factory.mktemp("page") / "store", api_valkey) as api,
        httpx.Client(base_url=api.url, trust_env=False) as client,
    ):
        yield client


def test_the_page_is_sent_without_a_key_and_with_a_policy_that_allows_no_foreign_request(page: httpx.Client) -> None:
    answer = page.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == (FOLDER / "index.html").read_bytes()
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_file_of_the_folder_is_sent_with_its_type(page: httpx.Client) -> None:
    files = read_files(FOLDER)
    assert {"/", "/assets/style.css"} <= files.keys()
    on_disk = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) == len(on_disk), "a file has an extension that is not served"
    for path, file in files.items():
        answer = page.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, file.media_type), path
        assert answer.content == file.body


def test_a_file_that_has_not_changed_is_not_sent_again(page: httpx.Client) -> None:
    first = page.get("/assets/style.css")
    assert first.headers["cache-control"] == "no-cache"
    again = page.get("/assets/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_text_is_compressed_for_a_browser_that_asks_for_it(page: httpx.Client) -> None:
    request = page.build_request("GET", "/", headers={"Accept-Encoding": "gzip, br"})
    answer = page.send(request, stream=True)
    raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == (FOLDER / "index.html").read_bytes()
    assert "content-encoding" not in page.get("/", headers={"Accept-Encoding": "identity"}).headers


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/", "/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/..%2fx"]
)
def test_an_unknown_file_is_a_problem_and_no_way_out_of_the_folder(page: httpx.Client, path: str) -> None:
    answer = page.get(page.base_url.copy_with(raw_path=path.encode()))
    assert answer.status_code in {401, 404}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_file_can_only_be_read(page: httpx.Client) -> None:
    answer = page.post("/", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    head = page.head("/")
    assert (head.status_code, head.content) == (200, b"")


def test_files_whose_names_have_their_version_are_kept_and_types_are_known_ones_only(tmp_path: Path) -> None:
    for name in ("index.html", "assets/vendor/lib-1.2.js", "assets/app.js", "assets/notes.doc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    files = read_files(tmp_path)
    assert files.keys() == {"/", "/assets/vendor/lib-1.2.js", "/assets/app.js"}
    assert [path for path, file in files.items() if file.immutable] == ["/assets/vendor/lib-1.2.js"]


def test_without_an_issuer_people_sign_in_with_a_key(page: httpx.Client) -> None:
    answer = page.get("/v1/sign-in")
    assert (answer.status_code, answer.json()) == (200, {"version": version("maskrelay"), "key": True, "oidc": None})


@pytest.fixture
def provider() -> Iterator[Issuer]:
    with issuer() as running:
        running.endpoints = {
            "authorization_endpoint": f"{running.url}/authorize",
            "token_endpoint": "https://tokens.example:8443/token",
        }
        yield running


@pytest.fixture
def with_provider(tmp_path: Path, api_valkey: str, provider: Issuer) -> Iterator[httpx.Client]:
    about = {"oidc_issuer": provider.url, "oidc_audience": AUDIENCE, "oidc_client_id": "page"}
    with (
        running_api(tmp_path / "store", api_valkey, oidc_scope="openid masks", **about) as api,
        httpx.Client(base_url=api.url, trust_env=False) as client,
    ):
        yield client


def test_the_page_learns_where_to_sign_in_and_may_connect_to_the_token_endpoint(
    with_provider: httpx.Client, provider: Issuer
) -> None:
    assert with_provider.get("/v1/sign-in").json()["oidc"] == {
        "issuer": provider.url,
        "client_id": "page",
        "authorization_endpoint": f"{provider.url}/authorize",
        "token_endpoint": "https://tokens.example:8443/token",
        "end_session_endpoint": None,
        "scope": "openid masks",
    }
    policy = with_provider.get("/").headers["content-security-policy"]
    assert "connect-src 'self' https://tokens.example:8443;" in policy
    assert len(provider.asked) == 1


@pytest.mark.parametrize("wrong", ["http://tokens.example/token", "https://a b;script-src *", "javascript:alert(1)"])
def test_an_address_that_is_not_safe_is_not_used(with_provider: httpx.Client, provider: Issuer, wrong: str) -> None:
    provider.endpoints["token_endpoint"] = wrong
    assert with_provider.get("/v1/sign-in").json()["oidc"] is None
    assert "connect-src 'self';" in with_provider.get("/").headers["content-security-policy"]


def test_an_issuer_that_does_not_respond_leaves_the_key(with_provider: httpx.Client, provider: Issuer) -> None:
    provider.status = 503
    assert with_provider.get("/v1/sign-in").json()["oidc"] is None
    assert with_provider.get("/").status_code == 200
