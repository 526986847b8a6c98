"""The sources of tokens: Entra (through the library azure-identity), and the control plane of Azure ML."""

import asyncio
import importlib
from typing import Any

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from maskrelay.errors import EndpointError, SettingsError
from maskrelay.network.certificates import ca_bundle, client_context
from maskrelay.network.proxies import Proxy, proxy_for
from maskrelay.network.response_bodies import aread_body
from maskrelay.scoring.proxy_tunnel import ProxyFailed
from maskrelay.scoring.statuses import PROXY_AUTH, failure
from maskrelay.scoring.tokens import NO_TOKEN, RenewedToken, Token
from maskrelay.scoring.transport import Transport
from maskrelay.scoring.transport_errors import classify_break
from maskrelay.scoring.url_checks import checked_url, is_header

#: A token that does not state when to renew it, such as an Entra token, is renewed this many seconds before it expires.
#: The value is that of Entra's own libraries.
RENEWED_BEFORE_S = 300.0
TIMEOUT_S = 10.0
#: The largest response of the control plane that is read, in bytes.
_MOST_BYTES = 1 << 20


class Entra:
    """The source of Entra tokens for one scope.

    DefaultAzureCredential chooses the identity, such as the managed identity of the machine. If `proxy` is given, it is
    used instead of the https proxy of the environment. Raises SettingsError if the extra `azure` of the package is not
    installed.
    """

    def __init__(self, scope: str, proxy: SecretStr | None = None) -> None:
        self._scope = scope
        # The proxy is used only for https. Tokens of a managed identity come from a service on the machine itself. It
        # is called by http, and must not be called through the proxy.
        self._way = {"proxies": {"https": proxy.get_secret_value()}} if proxy else {}
        self._trusted = ca_bundle("REQUESTS_CA_BUNDLE")
        try:
            self._identity = importlib.import_module("azure.identity")
            self._errors = importlib.import_module("azure.core.exceptions").AzureError
        except ImportError:
            raise SettingsError("this kind of authentication needs the extra `azure` (azure-identity)") from None

    async def fetch(self) -> Token:
        """Return a new token. Raises EndpointUnavailable of kind `token` if none can be fetched."""
        got = await asyncio.to_thread(self._ask)
        if got is None or not is_header(got.token):
            raise failure(NO_TOKEN)
        return Token(got.token, got.expires_on - RENEWED_BEFORE_S, got.expires_on)

    def _ask(self) -> Any:
        """Fetch a token with a new credential object.

        The previous credential object would return its cached token, which may have been refused.
        """
        try:
            with self._identity.DefaultAzureCredential(connection_verify=self._trusted, **self._way) as credential:
                return credential.get_token(self._scope)
        except (self._errors, ValueError):
            return None  # the message is dropped, because it can contain the request


class _Answer(BaseModel):
    """The control plane's response. Both times are in seconds since 1970."""

    accessToken: str = Field(pattern=r"^[!-~]+$", repr=False)  # noqa: N815 - the control plane's names
    expiryTimeUtc: float  # noqa: N815
    refreshAfterTimeUtc: float | None = None  # noqa: N815


class ControlPlane:
    """The source of Azure ML tokens for one endpoint (`POST …/onlineEndpoints/{name}/token?api-version=…`).

    `management` provides the tokens that authorize the requests to the control plane. If `proxy` is None, the proxy of
    the environment is used. Raises SettingsError for a URL that cannot be used.
    """

    def __init__(self, url: str, management: RenewedToken, proxy: Proxy | None = None) -> None:
        self._url = checked_url(url, "the address of the endpoint's token")
        self._management = management
        self._proxy = proxy or proxy_for(url)
        self._tls = client_context()

    async def fetch(self) -> Token:
        """Return a token.

        Raises EndpointUnavailable of kind `token` if the control plane returns no token. If the status of the response
        is not 200, the error has this status. Raises ProxyDenied or ProxyUnavailable if the proxy fails.
        """
        opener = await self._management.token()
        got: _Answer | EndpointError
        try:
            async with asyncio.timeout(TIMEOUT_S):
                got = await self._ask(opener)
        except ProxyFailed as broken:
            got = classify_break(broken)
        except (httpx.HTTPError, OSError, ValidationError):
            got = failure(NO_TOKEN)
        # The error is raised outside the exception handlers. Otherwise, its context would be an exception that contains
        # the request or the token.
        if isinstance(got, EndpointError):
            raise got
        renew_at = got.refreshAfterTimeUtc or got.expiryTimeUtc - RENEWED_BEFORE_S
        return Token(got.accessToken, renew_at, got.expiryTimeUtc)

    async def _ask(self, opener: str) -> _Answer | EndpointError:
        headers = {"authorization": f"Bearer {opener}", "accept": "application/json"}
        transport = Transport(self._url, max_connections=1, tls=self._tls, proxy=self._proxy)
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, transport=transport) as client,
            client.stream("POST", self._url, headers=headers) as response,
        ):
            if response.status_code == 401:
                self._management.refuse(opener)
            if response.status_code == 407:
                return failure(PROXY_AUTH, status=407)
            if response.status_code != 200:
                return failure(NO_TOKEN, status=response.status_code)
            return _Answer.model_validate_json(bytes(await aread_body(response, _MOST_BYTES)))
