"""A token that is renewed before it expires. Callers that wait for a token at the same time share one request."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from maskrelay.errors import EndpointUnavailable
from maskrelay.scoring.statuses import Meaning, failure

#: The longest wait for a token, in seconds. It is short, because a slot of the endpoint is held during the wait.
PATIENCE_S = 15.0
#: The shortest time between two attempts to renew a token that is still valid, in seconds.
RETRY_S = 5.0
#: A token is not used in the last seconds before it expires, because it must still be valid when the request arrives.
MARGIN_S = 2.0
NO_TOKEN = Meaning(EndpointUnavailable, "token", "no token for the endpoint can be obtained")


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    text: str = field(repr=False)
    #: The time from which a new token should be fetched, in seconds since 1970.
    renew_at: float
    #: The time at which the token expires, in seconds since 1970.
    expires_at: float


class TokenSource(Protocol):
    async def fetch(self) -> Token:
        """Return a new token. Raises EndpointUnavailable of kind `token` if none can be fetched."""
        ...


class RenewedToken:
    """A credential whose tokens come from a source.

    While a token is valid, callers do not wait for the next token, and failures of the source have no effect.
    """

    def __init__(self, source: TokenSource, *, now: Callable[[], float] = time.time) -> None:
        self._source = source
        self._now = now
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._renew_at = 0.0

    async def token(self) -> str:
        """Return a valid token.

        If there is no valid token, a new token is fetched. If this fails, raises the error of the source. Raises
        EndpointUnavailable of kind `token` if the source returns no token within PATIENCE_S seconds.
        """
        held = self._held()
        if held is None:
            return (await self._awaited()).text
        if self._now() >= self._renew_at:
            self._renewed()
        return held.text

    def refuse(self, token: str) -> bool:
        """Discard `token`. If `token` has been replaced in the meantime, keep the new token."""
        if self._token and self._token.text == token:
            self._token = None
        return True

    async def _awaited(self) -> Token:
        try:
            async with asyncio.timeout(PATIENCE_S):
                # If this caller is cancelled, the renewal continues, because other callers may wait for it.
                return await asyncio.shield(self._renewed())
        except TimeoutError:
            pass
        raise failure(NO_TOKEN)

    def _held(self) -> Token | None:
        token = self._token
        return token if token and self._now() < token.expires_at - MARGIN_S else None

    def _renewed(self) -> asyncio.Task[Token]:
        """Return the renewal in progress, or start one."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(_heard)
        return self._renewal

    async def _renew(self) -> Token:
        self._renew_at = self._now() + RETRY_S
        self._token = token = await self._source.fetch()
        self._renew_at = max(token.renew_at, self._renew_at)
        return token


def _heard(renewal: asyncio.Task[Token]) -> None:
    """Retrieve the error of a renewal. Otherwise, asyncio would log the error if no caller waits for the renewal."""
    if not renewal.cancelled():
        renewal.exception()
