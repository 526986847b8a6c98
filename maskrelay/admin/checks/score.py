"""One real score of an endpoint. Needs the extra `worker`."""

from datetime import timedelta

from maskrelay.admin.checks.finding import Finding, ok, wrong
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointError, SettingsError
from maskrelay.imaging.canary import canary
from maskrelay.imaging.maps import MAX_LE_1, probabilities
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.once import score_once

_ADDRESS = "look at the scoring URI: it ends in /score, and its deployment takes traffic (maskrelay endpoint status)"
_DEPLOYMENT = "look at the deployment: its state, its logs (maskrelay endpoint status)"
_FAILS = "it fails on a drawn picture: look at the address, which ends in /score, and at the deployment's logs"
_REACH = "look at host name, DNS, firewalls and network policies, and certificates (MASKRELAY_CA_FILE)"
_HINTS = {
    "unauthorized": "give the endpoint's present key; a key in a file is read again by itself",
    "forbidden": "give the identity the role that may score (maskrelay endpoint grant)",
    "token": "this machine's identity gets no token: look at az login or workload identity, and at the token URL",
    "no_deployment": _ADDRESS,
    "misconfigured": _ADDRESS,
    "redirect": _ADDRESS,
    "not_scoring": _ADDRESS,
    "html": _ADDRESS,
    "model_error": _FAILS,
    "refused": _FAILS,
    "connect": _REACH,
    "connection_lost": _REACH,
    "proxy_auth": "give the proxy's user and password, %-quoted: MASKRELAY_ENDPOINT_PROXY (or HTTPS_PROXY)",
    "proxy_refused": "have the proxy permit the endpoint's host and port; what it is asked is CONNECT",
    "proxy_gateway": "the proxy's own DNS, firewall or parent proxy keeps it from the endpoint: read its log",
    "proxy_unreachable": "look at host, port and scheme of MASKRELAY_ENDPOINT_PROXY (or HTTPS_PROXY), and at firewalls",
    "proxy_timeout": "the proxy is slow or swallows connections: read its log",
    "client_timeout": "raise MASKRELAY_SCORE_TIMEOUT_S above the deployment's request timeout, or look at its logs",
    "pending": "it is busy: it bears less than MASKRELAY_ENDPOINT_MAX_IN_FLIGHT",
    "rate": "it is asked more often than it allows: lower MASKRELAY_ENDPOINT_MAX_REQUESTS_PER_S",
    "values": "the encoding is wrong: MASKRELAY_ENDPOINT_ENCODING says what its maps hold",
}


def score(name: str, endpoint: Endpoint, within: timedelta) -> Finding:
    """Send one picture that every working deployment answers, beside what the workers send, past the limiter."""
    try:
        credential = credential_of(endpoint)
        scored = score_once(endpoint, credential, canary(), timeout=within, request_id="maskrelay-doctor")
        maps, flags = probabilities(scored.answers[0].maps, endpoint.encoding)
    except SettingsError as error:
        return wrong(name, error.detail, "docs/endpoints.md shows the forms")
    except EndpointError as error:
        return wrong(name, error.detail, _HINTS.get(str(error.fields.get("kind")), _DEPLOYMENT))
    if MAX_LE_1 in flags[0] and maps.any():
        said = "its maps hold 0 and 1, and are declared as probabilities 0..255: every mask would be empty"
        return wrong(name, said, "set MASKRELAY_ENDPOINT_ENCODING=binary01 (in a file: encoding)")
    return ok(name, f"scored a picture in {scored.seconds:.1f} s")
