"""The public keys (JWKS) of an OpenID Connect issuer.

They are found by discovery, cached, and fetched again when needed.
"""

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

#: The number of seconds after which cached keys are fetched again. A withdrawn key then stops working.
FRESH_S = 600
#: The number of seconds for which cached keys remain valid while the issuer is unavailable.
LASTING_S = 3600
#: The shortest time between the starts of two fetches, in seconds. Callers cannot cause more fetches than that.
LEAST_PAUSE_S = 10
#: The timeouts, in seconds, of one network operation of a fetch, and of a whole fetch, which consists of two requests.
_TIMEOUT_S, _TOTAL_S = 5.0, 10.0
#: The largest document that is read, in bytes.
_MOST_BYTES = 1 << 20
_RSA_BITS = 2048
_BROKEN = (httpx.HTTPError, httpx.InvalidURL, SettingsError, TimeoutError, ValueError, KeyError, TypeError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and the only algorithm for which it is used.

    The algorithm is determined by the type of the key, and never by the token.
    """

    key: RSAPublicKey | EllipticCurvePublicKey
    algorithm: str


class IssuerKeys:
    """The keys of `issuer` by their `kid`. An instance belongs to one event loop. `clock` returns monotonic seconds.

    Raises SettingsError if the issuer's URL is neither https:// nor on loopback, because the keys could be replaced on
    an unencrypted connection.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        if not _is_safe(issuer):
            raise SettingsError("MASKRELAY_OIDC_ISSUER must begin with https://")
        self._issuer = issuer
        self._clock = clock
        self._trusted = client_context()
        client_options(issuer, trusted=self._trusted)  # raises SettingsError at startup if the proxy cannot be used
        self._lock = anyio.Lock()
        self._keys: dict[str, VerifyingKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None

    async def key(self, kid: str) -> VerifyingKey | None:
        """Return the key with this id, or None if the issuer has no such key.

        An unknown id or old keys cause a fetch, but at most one every ten seconds. If a fetch is already in progress,
        the call waits for it. Raises IssuerUnavailable if the last fetch failed, unless an earlier fetch within
        LASTING_S returned a key with this id.
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
        """Replace the keys. If the fetch fails, keep the old keys and log the reason."""
        self._tried = self._clock()
        try:
            with anyio.fail_after(_TOTAL_S):
                listed = await self._listed()
            self._keys = {kid: key for kid, key in map(_verifying, listed) if key is not None}
            self._fetched = self._tried
        except _BROKEN as error:
            _log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)

    async def _listed(self) -> list[dict[str, Any]]:
        """Return the keys that the issuer lists now. Raises an error of _BROKEN if its response cannot be used."""
        about = await self._json(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if about.get("issuer") != self._issuer or not _is_safe(str(about.get("jwks_uri"))):
            raise ValueError("the discovery document is not this issuer's")
        return [listed for listed in (await self._json(about["jwks_uri"]))["keys"] if isinstance(listed, dict)]

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
    """Return the id of a listed key and the key itself, or None instead of the key if it is not supported.

    A key is not supported if it is a secret key, too short, meant for encryption or for another algorithm, or on
    another curve than P-256.
    """
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
