"""Score a test image at an endpoint. Needs the extra `worker`."""

from datetime import timedelta
from typing import Any

from maskrelay.admin.checks.finding import Finding, ok, warn, wrong
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointError, SettingsError
from maskrelay.imaging.canvas.canary import canary
from maskrelay.imaging.masks.probability_maps import MAX_LE_1, probabilities
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.one_off import score_once
from maskrelay.scoring.wire_formats import LEAN2D, LEAN2D_QUESTION

_ADDRESS = "check that the URI ends with /score and that a deployment has traffic (maskrelay endpoint status)"
_DEPLOYMENT = "check the state and the logs of the deployment (maskrelay endpoint status)"
_FAILS = "it fails on a test image: check that the address ends with /score, and read the deployment's logs"
_REACH = "check the host name, DNS, firewalls, network policies and certificates (MASKRELAY_CA_FILE)"
_HINTS = {
    "unauthorized": "set the endpoint's current key; a changed key file is read again automatically",
    "forbidden": "grant the identity the role for scoring (maskrelay endpoint grant)",
    "token": "this machine's identity gets no token: check az login or the workload identity, and the token URL",
    "no_deployment": _ADDRESS,
    "misconfigured": _ADDRESS,
    "redirect": _ADDRESS,
    "not_scoring": _ADDRESS,
    "html": _ADDRESS,
    "model_error": _FAILS,
    "refused": _FAILS,
    "connect": _REACH,
    "connection_lost": _REACH,
    "proxy_auth": "set the proxy's user and password, percent-encoded, in MASKRELAY_ENDPOINT_PROXY (or HTTPS_PROXY)",
    "proxy_refused": "allow CONNECT to the endpoint's host and port in the proxy",
    "proxy_gateway": "the proxy cannot reach the endpoint (its DNS, firewall or parent proxy): read the proxy's log",
    "proxy_unreachable": "check host, port and scheme of MASKRELAY_ENDPOINT_PROXY (or HTTPS_PROXY), and firewalls",
    "proxy_timeout": "the proxy is slow or drops connections: read its log",
    "client_timeout": "raise MASKRELAY_SCORE_TIMEOUT_S above the deployment's request timeout, or read its logs",
    "pending": "it accepts fewer concurrent requests than it gets: lower MASKRELAY_ENDPOINT_MAX_IN_FLIGHT",
    "rate": "it receives more requests than it allows: lower MASKRELAY_ENDPOINT_MAX_REQUESTS_PER_S",
    "values": "the encoding is wrong: set MASKRELAY_ENDPOINT_ENCODING to what the maps contain",
}


def score(name: str, endpoint: Endpoint, within: timedelta) -> Finding:
    """Score the canary at an endpoint. This request is not counted against the limits that workers share."""
    try:
        credential = credential_of(endpoint)
        scored = score_once(endpoint, credential, canary(), timeout=within, request_id="maskrelay-doctor")
        maps, flags = probabilities(scored.answers[0].maps, endpoint.encoding)
    except SettingsError as error:
        return wrong(name, error.detail, "docs/howto/endpoints.md shows the forms")
    except EndpointError as error:
        return wrong(name, error.detail, _HINTS.get(error.kind, _DEPLOYMENT))
    if MAX_LE_1 in flags[0] and maps.any():
        said = "the maps contain only 0 and 1, but are configured as probabilities 0..255: every mask would be empty"
        return wrong(name, said, "set MASKRELAY_ENDPOINT_ENCODING=binary01 (in an endpoints file: encoding)")
    return ok(name, f"a test image was scored in {scored.seconds:.1f} s")


def check_lean(name: str, endpoint: Endpoint, within: timedelta) -> Finding:
    """Score the canary in the wire formats image2d and lean2d, and compare the maps bit for bit."""
    bytes_of = "sent {0.bytes_up} and received {0.bytes_down} bytes".format
    try:
        credential = credential_of(endpoint)
        about: dict[str, Any] = {"timeout": within, "request_id": "maskrelay-doctor"}
        asked = score_once(endpoint, credential, canary(), **about, wire=LEAN2D_QUESTION)
        if not asked.is_lean:
            said = (
                "the deployment does not offer lean2d: every request is sent as image2d, which is several times larger"
            )
            return warn(name, said, "deploy with maskrelay endpoint create --lean, or set wire to image2d")
        stock = score_once(endpoint, credential, canary(), **about)
        lean = score_once(endpoint, credential, canary(), **about, wire=LEAN2D)
    except (SettingsError, EndpointError) as error:
        return wrong(name, f"lean2d fails: {error.detail}", "read the deployment's logs (maskrelay endpoint status)")
    if lean.answers[0].maps != stock.answers[0].maps:
        return warn(name, "two answers to the same image differ", "compare masks before you rely on lean2d")
    return ok(name, f"lean2d gives the same maps; it {bytes_of(lean)}, image2d {bytes_of(stock)}")
