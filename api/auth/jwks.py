"""The public keys (JWKS) of an OpenID Connect issuer: found by discovery, cached, and fetched again when needed."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from maskrelay.errors import IssuerUnavailable, SettingsError
from maskrelay.network.certificates import client_context
from maskrelay.network.http_clients import client_options
from maskrelay.network.response_bodies import aread_body
from maskrelay.scoring.url_checks import LOOPBACK

#: Seconds after which cached keys are fetched again, so that a withdrawn key stops working.
FRESH_S = 600
#: Seconds for which cached keys remain valid while the issuer is unavailable.
LASTING_S = 3600
#: The shortest time between the starts of two fetches, whatever callers send.
LEAST_PAUSE_S = 10
#: Timeouts in seconds: one step of a fetch, and both of its requests together.
_TIMEOUT_S, _TOTAL_S = 5.0, 10.0
#: The largest document that is read.
_MOST_BYTES = 1 << 20
_RSA_BITS = 2048
_BROKEN = (httpx.HTTPError, httpx.InvalidURL, SettingsError, TimeoutError, ValueError, KeyError, TypeError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the only algorithm that it verifies: determined by the key's type, never by a token."""

    key: RSAPublicKey | EllipticCurvePublicKey
    algorithm: str


class IssuerKeys:
    """The keys of `issuer` by their `kid`. Belongs to one event loop; `clock` returns monotonic seconds.

    Raises SettingsError for an issuer that is reached neither by https nor on loopback: anyone on a plain connection
    could replace the keys.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        if not _is_safe(issuer):
            raise SettingsError("MASKRELAY_OIDC_ISSUER must begin with https://")
        self._issuer = issuer
        self._clock = clock
        self._trusted = client_context()
        client_options(issuer, trusted=self._trusted)  # fail at startup if the proxy cannot be used
        self._lock = anyio.Lock()
        self._keys: dict[str, VerifyingKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None

    async def key(self, kid: str) -> VerifyingKey | None:
        """Return the key with this id, None if the issuer has none. Raises IssuerUnavailable if that is not known.

        An unknown id or old keys cause a fetch; there is at most one every ten seconds, and callers wait for a fetch in
        progress.
        """
        if kid in self._keys and self._age(self._fetched) <= FRESH_S:
            return self._keys[kid]
        async with self._lock:
            known = kid in self._keys and self._age(self._fetched) <= FRESH_S
            if not known and self._age(self._tried) > LEAST_PAUSE_S:
                await self._fetch()
        if kid in self._keys and self._age(self._fetched) <= LASTING_S:
            return self._keys[kid]
        if self._fetched is None or self._fetched != self._tried:
            raise IssuerUnavailable
        return None

    def _age(self, moment: float | None) -> float:
        return float("inf") if moment is None else self._clock() - moment

    async def _fetch(self) -> None:
        """Replace the keys. If that fails, they are kept and the reason is logged."""
        self._tried = self._clock()
        try:
            with anyio.fail_after(_TOTAL_S):
                listed = await self._listed()
            self._keys = {kid: key for kid, key in map(_verifying, listed) if key is not None}
            self._fetched = self._tried
        except _BROKEN as error:
            _log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)

    async def _listed(self) -> list[dict[str, Any]]:
        """The keys that the issuer lists now. Raises whatever is wrong with its response."""
        about = await self._json(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if about.get("issuer") != self._issuer or not _is_safe(str(about.get("jwks_uri"))):
            raise ValueError("the discovery document is not this issuer's")
        return [one for one in (await self._json(about["jwks_uri"]))["keys"] if isinstance(one, dict)]

    async def _json(self, url: str) -> dict[str, Any]:
        options = client_options(url, trusted=self._trusted)
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, **options) as http, http.stream("GET", url) as answer:
            answer.raise_for_status()
            read = await aread_body(answer, _MOST_BYTES)
        if not isinstance(body := json.loads(read), dict):
            raise TypeError
        return body


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _verifying(listed: dict[str, Any]) -> tuple[str, VerifyingKey | None]:
    """A listed key by its id; None for an unsupported one: secret, short, of another curve, or for encryption."""
    kid = str(listed.get("kid", ""))
    if listed.get("kty") not in {"RSA", "EC"} or listed.get("use", "sig") != "sig":
        return kid, None
    try:
        key = PyJWK(listed).key
    except (PyJWTError, ValueError):
        return kid, None
    if isinstance(key, RSAPublicKey) and key.key_size >= _RSA_BITS:
        verifying = VerifyingKey(key, "RS256")
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        verifying = VerifyingKey(key, "ES256")
    else:
        return kid, None
    return kid, verifying if listed.get("alg", verifying.algorithm) == verifying.algorithm else None
