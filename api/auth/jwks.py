"""The public keys (JWKS) of an OpenID Connect issuer.

They are found by discovery, cached, and fetched again when needed.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from api.auth.discovery import BROKEN, TOTAL_S, is_safe, read_discovery, read_document
from maskrelay.errors import IssuerUnavailable, SettingsError
from maskrelay.network.certificates import client_context
from maskrelay.network.http_clients import client_options

#: The number of seconds after which cached keys are fetched again. A withdrawn key then stops working.
FRESH_S = 600
#: The number of seconds for which cached keys remain valid while the issuer is unavailable.
LASTING_S = 3600
#: The shortest time between the starts of two fetches, in seconds. Callers cannot cause more fetches than that.
LEAST_PAUSE_S = 10
_RSA_BITS = 2048
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
        if not is_safe(issuer):
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
            with anyio.fail_after(TOTAL_S):
                listed = await self._listed()
            self._keys = {kid: key for kid, key in map(_verifying, listed) if key is not None}
            self._fetched = self._tried
        except BROKEN as error:
            _log.warning("the issuer's keys cannot be fetched: %s", type(error).__name__)

    async def _listed(self) -> list[dict[str, Any]]:
        """Return the keys that the issuer lists now. Raises an error of BROKEN if its response cannot be used."""
        about = await read_discovery(self._issuer, self._trusted)
        keys = await read_document(str(about["jwks_uri"]), self._trusted)
        return [listed for listed in keys["keys"] if isinstance(listed, dict)]


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
