"""Each route is called with its scope and not without it; a route that the table does not list admits nobody."""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.auth.scopes import KEYLESS
from api.routes import ACCESS, PUBLIC, add_routes
from tests.support.servers.apis import KEYS, running_api, write_keys

NEEDED: Mapping[tuple[str, str], str] = {row: access for row, access in ACCESS.items() if access not in KEYLESS}


def routes() -> list[APIRoute]:
    app = FastAPI()
    add_routes(app)
    return [route for route in app.routes if isinstance(route, APIRoute)]


def test_every_route_of_the_application_is_a_row_of_the_table() -> None:
    assert {(method, route.path) for route in routes() for method in route.methods} == ACCESS.keys()


def test_what_writes_needs_more_than_reading_and_only_deleting_needs_admin() -> None:
    assert {access for (method, _), access in NEEDED.items() if method == "GET"} == {"read"}
    assert {access for (method, _), access in NEEDED.items() if method == "POST"} == {"submit"}
    assert {row for row, access in NEEDED.items() if access == "admin"} == {("DELETE", "/v1/jobs/{job}")}


def test_what_needs_no_key_is_exactly_this() -> None:
    assert {"/livez", "/readyz", "/metrics", "/v1/scaling", "/v1/sign-in", "/openapi.json"} == PUBLIC
    assert {route.path for route in routes()} >= PUBLIC - {"/openapi.json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, api_valkey: str):
    folder = tmp_path_factory.mktemp("scopes")
    write_keys(folder / "keys.json", {**KEYS, "none": ("north", [])})
    with running_api(folder / "store", api_valkey) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), sorted(NEEDED))
def test_each_route_is_refused_without_its_scope_and_not_with_it(api, method: str, path: str) -> None:
    needed = NEEDED[method, path]
    path = path.format(job="a" * 26, watch="a" * 26, item=0, name="result.json", event="evt_" + "0" * 32)
    others = {"submit": "reader", "read": "writer", "admin": "north"}
    for key in (others[needed], "none"):
        with api.client(key) as client:
            answer = client.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    for key in ({"submit": "writer", "read": "reader", "admin": "admin"}[needed], "admin"):
        # a stream of events does not end by itself
        with api.client(key) as client, client.stream(method, path) as answer:
            assert answer.status_code not in {401, 403, 405, 500}
    assert httpx.request(method, api.url + path, trust_env=False).status_code == 401


def test_a_route_without_a_row_lets_nobody_in(tmp_path: Path, api_valkey: str, monkeypatch) -> None:
    monkeypatch.setattr("api.app.ACCESS", {row: access for row, access in ACCESS.items() if access in KEYLESS})
    with running_api(tmp_path / "store", api_valkey) as api, api.client("admin") as client:
        assert client.get("/v1/jobs").status_code == 403
        assert client.get("/livez").status_code == 200
