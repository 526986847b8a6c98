"""Authentication by OpenID Connect, with bearer tokens that the configured issuer signed for this service."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt

from api.auth.jwks import IssuerKeys, VerifyingKey
from api.auth.scopes import Caller
from maskrelay.contract.records import keys
from maskrelay.contract.records.api_key_file import SCOPES, Scope
from maskrelay.errors import Unauthenticated
from maskrelay.settings import Settings

#: The accepted difference between the issuer's clock and this machine's clock.
LEEWAY = timedelta(seconds=60)
_NEEDED = ("exp", "iss", "aud", "sub")
_ALGORITHMS = frozenset({"RS256", "ES256"})


class TokenVerifier:
    """A verifier of tokens for one issuer and audience.

    The claims `tenant_claim` and `scopes_claim` contain the tenant and the scopes.
    """

    def __init__(
        self, issuer_keys: IssuerKeys, issuer: str, audience: str, *, tenant_claim: str, scopes_claim: str
    ) -> None:
        self._keys = issuer_keys
        self._issuer = issuer
        self._audience = audience
        self._tenant_claim = tenant_claim
        self._scopes_claim = scopes_claim

    async def caller(self, token: str) -> Caller:
        """Return the caller of the token.

        Raises Unauthenticated for a token that is not valid, and IssuerUnavailable if a key cannot be fetched.
        """
        kid = _kid(token)
        key = await self._keys.key(kid)
        if key is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not list.")
        claims = self._verified(token, key)
        tenant = claims.get(self._tenant_claim)
        if not isinstance(tenant, str) or not keys.TENANT.fullmatch(tenant):
            raise Unauthenticated("The token names no tenant.")
        return Caller(tenant, _scopes(claims.get(self._scopes_claim)), _name(claims))

    def _verified(self, token: str, key: VerifyingKey) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": list(_NEEDED)},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(f"The token is not valid here ({type(error).__name__}).") from None
        return claims


def _kid(token: str) -> str:
    """Return the id of the key with which the token claims to be signed. Raises Unauthenticated. No request is sent."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise Unauthenticated from None
    if str(header.get("alg")) not in _ALGORITHMS or "crit" in header:
        raise Unauthenticated("A token must be signed with RS256 or ES256.")
    if not isinstance(header.get("kid"), str):
        raise Unauthenticated("The token does not say which key signed it.")
    return str(header["kid"])


def _scopes(claim: Any) -> frozenset[Scope]:
    """Return the known scopes in the claim, which is a list, or text with spaces between the scopes."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(scope for scope in SCOPES if scope in words)


def _name(claims: dict[str, Any]) -> str:
    """Return the caller's name, which is a hash of the token's issuer and subject.

    The name is stored, so it must not contain the subject itself, which may be an e-mail address.
    """
    return "oidc:" + hashlib.sha256(f"{claims['iss']}\n{claims['sub']}".encode()).hexdigest()[:16]


def tokens_of(settings: Settings, issuer_keys: Callable[[str], IssuerKeys] = IssuerKeys) -> TokenVerifier | None:
    """Return the verifier for the settings, or None if no issuer is set. Raises SettingsError."""
    if settings.oidc_issuer is None:
        return None
    settings.require("oidc_audience")
    return TokenVerifier(
        issuer_keys(settings.oidc_issuer),
        settings.oidc_issuer,
        str(settings.oidc_audience),
        tenant_claim=settings.oidc_tenant_claim,
        scopes_claim=settings.oidc_scopes_claim,
    )
