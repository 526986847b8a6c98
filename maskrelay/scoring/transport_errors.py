"""The classification of the exceptions that interrupt an exchange with an endpoint."""

import httpx

from maskrelay.errors import EndpointError, EndpointTimeout, EndpointUnavailable, ProxyDenied, ProxyUnavailable
from maskrelay.scoring.proxy_tunnel import ProxyFailed
from maskrelay.scoring.statuses import PROXY_AUTH, Meaning, failure

#: Every exception that an exchange can raise. OSError includes the TimeoutError of asyncio, and TLS errors that are not
#: converted to exceptions of httpx.
BREAKS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict, OSError)

_UNREACHED = Meaning(EndpointUnavailable, "connect", "the endpoint cannot be reached")
_UNSENT = Meaning(EndpointUnavailable, "unsent", "the request could not be sent")
_LATE = Meaning(EndpointTimeout, "client_timeout", "the endpoint did not answer in time", True)
_LOST = Meaning(EndpointUnavailable, "connection_lost", "the connection to the endpoint broke off", True)
_GARBLED = Meaning(EndpointUnavailable, "garbled", "the answer arrived damaged")

_PROXY_REFUSED = Meaning(ProxyDenied, "proxy_refused", "the proxy does not permit connections to the endpoint")
_PROXY_GATEWAY = Meaning(ProxyUnavailable, "proxy_gateway", "the proxy cannot reach the endpoint")
_PROXY_AWAY = Meaning(
    ProxyUnavailable, "proxy_unreachable", "the proxy cannot be reached, or the server there is not a proxy"
)
_PROXY_LATE = Meaning(ProxyUnavailable, "proxy_timeout", "the proxy did not answer in time")

#: The first matching row applies. The last row is for all other exceptions. It assumes that the container has received
#: the request, which is the safe assumption.
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
    (httpx.TooManyRedirects, Meaning(EndpointUnavailable, "redirect", "the scoring URI redirects too often")),
    (Exception, _LOST),
)


def classify_break(broken: Exception) -> EndpointError:
    """Return the error for an exception of BREAKS.

    The error does not refer to the exception, because the exception refers to the headers of the request.
    """
    if isinstance(broken, ProxyFailed):
        return failure(_of_proxy(broken), status=broken.status)
    return failure(next(meaning for kind, meaning in _TABLE if isinstance(broken, kind)))


def _of_proxy(broken: ProxyFailed) -> Meaning:
    """Return the meaning of a proxy's failure.

    No frame is the cause of the failure. The request was not sent, so `still_working` is false.
    """
    if broken.status is None:
        return _PROXY_LATE if broken.is_late else _PROXY_AWAY
    if broken.status == 407:
        return PROXY_AUTH
    return _PROXY_REFUSED if 400 <= broken.status < 500 else _PROXY_GATEWAY
