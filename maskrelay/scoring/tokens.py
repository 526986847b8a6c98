"""A token that is renewed before it expires, by one request at a time however many callers wait for it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from maskrelay.errors import EndpointUnavailable
from maskrelay.scoring.statuses import Meaning, failure

#: Nobody waits longer for a token, in seconds: a slot of the endpoint is held meanwhile.
PATIENCE_S = 15.0
#: While a token still holds, its renewal is tried this often, in seconds.
RETRY_S = 5.0
#: A token is not used in its last seconds: it must still hold when the request arrives.
MARGIN_S = 2.0
NO_TOKEN = Meaning(EndpointUnavailable, "token", "no token for the endpoint can be had")


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; renew_at and expires_at in seconds since 1970."""

    text: str = field(repr=False)
    renew_at: float
    expires_at: float


class TokenSource(Protocol):
    async def fetch(self) -> Token:
        """A token as new as can be had. Raises EndpointUnavailable of kind `token`."""
        ...


class RenewedToken:
    """The credential over a source: while a token holds, nobody waits for the next and a failing source hurts none."""

    def __init__(self, source: TokenSource, *, now: Callable[[], float] = time.time) -> None:
        self._source = source
        self._now = now
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._renew_at = 0.0

    async def token(self) -> str:
        """The token now. Raises EndpointUnavailable of kind `token` when there is none that holds."""
        held = self._held()
        if held is None:
            return (await self._awaited()).text
        if self._now() >= self._renew_at:
            self._renewed()
        return held.text

    def refuse(self, token: str) -> bool:
        """Forget `token`; what was renewed meanwhile stays."""
        if self._token and self._token.text == token:
            self._token = None
        return True

    async def _awaited(self) -> Token:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(self._renewed())  # who is cancelled must not end the others' renewal
        except TimeoutError:
            pass
        raise failure(NO_TOKEN)

    def _held(self) -> Token | None:
        token = self._token
        return token if token and self._now() < token.expires_at - MARGIN_S else None

    def _renewed(self) -> asyncio.Task[Token]:
        """The renewal under way, or a new one."""
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
    """Look at the error: nobody may be waiting for it, and asyncio would print it."""
    if not renewal.cancelled():
        renewal.exception()
