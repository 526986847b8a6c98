"""Access tokens for Azure: a given token, or the tokens of the machine's identity."""

import asyncio
import time

from pydantic import SecretStr

from maskrelay.errors import AzureDenied, EndpointError
from maskrelay.scoring.token_sources import Entra
from maskrelay.scoring.tokens import Token


class GivenToken:
    """A token from the environment."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token


class MachineToken:
    """Entra tokens for one scope, which are renewed before they expire.

    Raises SettingsError if the extra `azure` is not installed.
    """

    def __init__(self, scope: str, proxy: SecretStr | None = None) -> None:
        self._source = Entra(scope, proxy)
        self._held: Token | None = None

    def token(self) -> str:
        """Return a valid token. Raises AzureDenied if none can be obtained."""
        if self._held is None or time.time() >= self._held.renew_at:
            self._held = self._fetched()
        return self._held.text

    def _fetched(self) -> Token:
        try:
            return asyncio.run(self._source.fetch())
        except EndpointError:
            ways = ("sign in: az login", "or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
            raise AzureDenied("this machine has no identity for which Azure issues a token", ways=ways) from None
