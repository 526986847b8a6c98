import inspect
import ssl

import httpx
import pytest

from maskrelay.errors import EndpointTimeout, EndpointUnavailable
from maskrelay.scoring.transport_errors import BREAKS, classify_break

UNSENT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.PoolTimeout,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.CookieConflict,
}
ANSWERED = {httpx.DecodingError, httpx.TooManyRedirects}
LATE = {httpx.TimeoutException, httpx.ReadTimeout, httpx.WriteTimeout}


def made(kind):
    """An exception of httpx, whatever its constructor asks for, with its message about a secret."""
    needed = list(inspect.signature(kind).parameters.values())
    request = httpx.Request("POST", "http://localhost", headers={"authorization": "Bearer secret"})
    given = {"request": request, "response": httpx.Response(500)}
    positional = [
        "secret" for p in needed if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in given and p.default is p.empty
    ]
    keyword = {p.name: given[p.name] for p in needed if p.name in given and p.default is p.empty}
    return kind(*positional, **keyword)


def exceptions_of_httpx():
    found = [getattr(httpx, name) for name in httpx.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, Exception)]


def test_httpx_has_the_exceptions_this_table_was_written_for():
    assert set(exceptions_of_httpx()) >= UNSENT | ANSWERED | LATE | {httpx.ReadError, httpx.RemoteProtocolError}


@pytest.mark.parametrize("kind", exceptions_of_httpx(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_is_caught_and_keeps_the_slot_unless_nothing_runs(kind):
    assert issubclass(kind, BREAKS)
    error = classify_break(made(kind))
    assert type(error) is (EndpointTimeout if kind in LATE else EndpointUnavailable)
    assert error.still_working is (kind not in UNSENT | ANSWERED)
    assert error.status is None
    assert "secret" not in f"{error} {vars(error)}"


@pytest.mark.parametrize(
    ("broken", "kind", "leaf"),
    [
        (TimeoutError(), "client_timeout", EndpointTimeout),
        (ssl.SSLError("bad record mac"), "connection_lost", EndpointUnavailable),
        (ConnectionResetError(), "connection_lost", EndpointUnavailable),
        (httpx.ReadError("reset"), "connection_lost", EndpointUnavailable),
        (httpx.RemoteProtocolError("closed"), "connection_lost", EndpointUnavailable),
        (httpx.ConnectError("refused"), "connect", EndpointUnavailable),
        (httpx.PoolTimeout("busy"), "no_connection", EndpointUnavailable),
    ],
)
def test_breaks_are_named_for_metrics(broken, kind, leaf):
    error = classify_break(broken)
    assert (type(error), error.kind) == (leaf, kind)
