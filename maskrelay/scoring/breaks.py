"""What it means when an exchange with the endpoint breaks off: every exception of httpx, as a table."""

import httpx

from maskrelay.errors import EndpointError, EndpointTimeout, EndpointUnavailable
from maskrelay.scoring.statuses import Meaning, failure

#: Everything that an exchange can raise. OSError: TLS errors that no layer wraps, and asyncio's TimeoutError.
BREAKS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict, OSError)

_UNREACHED = Meaning(EndpointUnavailable, "connect", "the endpoint cannot be reached")
_UNSENT = Meaning(EndpointUnavailable, "unsent", "the request could not be sent")
_LATE = Meaning(EndpointTimeout, "client_timeout", "the endpoint did not answer in time", True)
_LOST = Meaning(EndpointUnavailable, "connection_lost", "the connection to the endpoint broke off", True)
_GARBLED = Meaning(EndpointUnavailable, "garbled", "the answer arrived damaged")

#: The first row that fits counts. What cannot be placed may have reached the container: that is the safe side.
_TABLE: tuple[tuple[type[Exception], Meaning], ...] = (
    (httpx.ConnectError, _UNREACHED),
    (httpx.ConnectTimeout, _UNREACHED),
    (httpx.ProxyError, _UNREACHED),
    (httpx.PoolTimeout, Meaning(EndpointUnavailable, "no_connection", "all connections are in use")),
    (httpx.TimeoutException, _LATE),
    (TimeoutError, _LATE),
    (httpx.LocalProtocolError, _UNSENT),
    (httpx.UnsupportedProtocol, _UNSENT),
    (httpx.InvalidURL, _UNSENT),
    (httpx.CookieConflict, _UNSENT),
    (httpx.DecodingError, _GARBLED),
    (httpx.TooManyRedirects, Meaning(EndpointUnavailable, "redirect", "the scoring URI is moved about")),
    (Exception, _LOST),
)


def classify_break(broken: Exception) -> EndpointError:
    """The error for an exception of BREAKS. Nothing of the exception is kept: it knows the request's headers."""
    return failure(next(meaning for kind, meaning in _TABLE if isinstance(broken, kind)))
