"""What the web page needs to know to let people sign in."""

import logging
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel, Field

from api.auth.discovery import BROKEN, TOTAL_S, is_safe, read_discovery
from maskrelay.network.certificates import client_context
from maskrelay.settings import Settings

#: The number of seconds for which the issuer's document is used, and after which a failed fetch may be repeated.
_FRESH_S, _AGAIN_S = 600.0, 10.0
_VERSION = version("maskrelay")
_log = logging.getLogger(__name__)


class OidcSignIn(BaseModel):
    """The identity provider for the authorization code flow with PKCE. There is no client secret."""

    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str | None = None
    scope: str = Field(description="The scope to request, for an access token that this service accepts.")


class SignInFacts(BaseModel):
    """The ways to sign in, and the version of the service. An API key can always be used."""

    version: str

    key: bool = True
    oidc: OidcSignIn | None = Field(
        None, description="Null if signing in with an identity provider is not configured, or if it does not respond."
    )


class SignIn:
    """The ways to sign in to the web page. An instance belongs to one event loop. `clock` returns monotonic seconds."""

    def __init__(
        self, issuer: str | None, client_id: str | None, scope: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._scope = scope
        self._clock = clock
        self._trusted = client_context()
        self._lock = anyio.Lock()
        self._oidc: OidcSignIn | None = None
        self._until = float("-inf")

    async def facts(self) -> SignInFacts:
        """Return the ways to sign in. The issuer's document is fetched if the known one is missing or old."""
        if self._issuer is None or self._client_id is None:
            return SignInFacts(version=_VERSION, oidc=None)
        async with self._lock:
            if self._clock() > self._until:
                await self._fetch(self._issuer, self._client_id)
        return SignInFacts(version=_VERSION, oidc=self._oidc)

    async def origins(self) -> tuple[str, ...]:
        """Return the origin of the token endpoint, to which the page must be allowed to connect."""
        oidc = (await self.facts()).oidc
        return (_origin(oidc.token_endpoint),) if oidc is not None else ()

    async def _fetch(self, issuer: str, client_id: str) -> None:
        """Replace the known document. If the fetch fails, keep the old one and log the reason."""
        try:
            with anyio.fail_after(TOTAL_S):
                about = await read_discovery(issuer, self._trusted)
            self._oidc = _sign_in(about, client_id, self._scope)
            self._until = self._clock() + _FRESH_S
        except BROKEN as error:
            _log.warning("the issuer's addresses for signing in cannot be fetched: %s", type(error).__name__)
            self._until = self._clock() + _AGAIN_S


def sign_in_of(settings: Settings) -> SignIn:
    return SignIn(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_scope)


def _sign_in(about: dict[str, Any], client_id: str, scope: str) -> OidcSignIn:
    """Return the facts from a discovery document. Raises ValueError or KeyError if it cannot be used."""
    names = ("authorization_endpoint", "token_endpoint")
    found = {name: str(about[name]) for name in names}
    if about.get("end_session_endpoint") is not None:
        found["end_session_endpoint"] = str(about["end_session_endpoint"])
    if not all(is_safe(url) and _is_plain(url) for url in found.values()):
        raise ValueError("an address of the issuer is not safe")
    return OidcSignIn(issuer=str(about["issuer"]), client_id=client_id, scope=scope, **found)


def _is_plain(url: str) -> bool:
    """Return whether the host of the URL can be written into a Content-Security-Policy."""
    return not set(urlsplit(url).netloc) & set(" ;,'\"\t\r\n") and "@" not in url


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
