"""What links begin with: never with what a caller wrote, unless the API listens on loopback alone."""

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from api.dependencies import base_of


def asked(server: tuple[str, int | None], *, public_url: str | None = None, host: str = "evil.example") -> Request:
    """A request that reached this address, with that `Host`."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "scheme": "http", "path": "/v1/jobs", "query_string": b""}
    app = SimpleNamespace(state=SimpleNamespace(service=SimpleNamespace(public_url=public_url)))
    return Request({**scope, "server": server, "headers": [(b"host", host.encode())], "app": app, "root_path": ""})


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (("10.1.2.3", 8080), "http://10.1.2.3:8080"),
        (("fd00::7", 8080), "http://[fd00::7]:8080"),
        (("/run/api.sock", None), "http://localhost"),
    ],
)
def test_beyond_loopback_links_begin_with_the_address_that_was_reached(
    server: tuple[str, int | None], expected: str
) -> None:
    assert base_of(asked(server)) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_on_loopback_links_begin_as_the_request_does(address: str) -> None:
    assert base_of(asked((address, 8080), host="localhost:8080")) == "http://localhost:8080"


def test_links_begin_with_the_public_url_where_there_is_one() -> None:
    assert base_of(asked(("10.1.2.3", 8080), public_url="https://masks.example")) == "https://masks.example"
