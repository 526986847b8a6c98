"""The driver for an event loop: it carries out operations as tasks. It is the twin of `service_connection`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, TypeVar

import httpx

from maskrelay.client.exchange import Broken, Concurrently, Exchange, Operation, Pause, Reply, WholeBody
from maskrelay.client.service_address import ServiceAddress
from maskrelay.client.service_calls import error_of
from maskrelay.client.upload_sources import parts
from maskrelay.errors import ServiceAnswerUnknown
from maskrelay.network.certificates import client_context
from maskrelay.network.http_clients import client_options

T = TypeVar("T")


class AsyncConnection:
    """Connections to the service at `url` with one API key, for one event loop.

    The key is sent only to this address, even if a link names another address.
    """

    def __init__(self, url: str, api_key: str, timeout: timedelta) -> None:
        self.service: ServiceAddress = ServiceAddress(url, api_key, timeout.total_seconds())
        self._trusted = client_context()
        options = client_options(self.service.url, trusted=self._trusted)
        self._http = httpx.AsyncClient(headers=self.service.headers, timeout=self.service.timeout_s, **options)
        #: The HTTP clients for object stores, by scheme, host and port.
        self._stores: dict[tuple[str, str, int | None], httpx.AsyncClient] = {}

    async def close(self) -> None:
        await self._http.aclose()
        for store in self._stores.values():
            await store.aclose()

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation, and return its result."""
        result: Any = None
        with contextlib.closing(operation):  # if an effect fails, the operation removes its temporary files
            while True:
                try:
                    effect = operation.send(result)
                except StopIteration as ended:
                    value: T = ended.value
                    return value
                if isinstance(effect, Exchange):
                    result = await self._exchange(effect)
                elif isinstance(effect, Pause):
                    result = None
                    await asyncio.sleep(effect.seconds)
                else:
                    result = await self._concurrently(effect)

    @contextlib.asynccontextmanager
    async def streamed(self, exchange: Exchange) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the pieces of a body that never ends. Raises the error of a response other than 2xx.

        A connection that breaks raises httpx.HTTPError.
        """
        answer = await self._http.send(self.service.request(self._http, exchange), stream=True)
        try:
            if not answer.is_success:
                whole = WholeBody(answer.status_code, answer.headers)
                async for piece in answer.aiter_raw():
                    whole.feed(piece)
                error = error_of(self.service.reply(answer, whole.body))
                raise error or ServiceAnswerUnknown(f"{answer.url.host} redirects the stream; is this maskrelay?")
            yield answer.aiter_raw()
        finally:
            await answer.aclose()

    async def _exchange(self, exchange: Exchange) -> Reply | Broken:
        try:
            http = self._store(httpx.URL(exchange.address)) if exchange.elsewhere else self._http
            with parts(exchange.files) as files:
                answer = await http.send(self.service.request(http, exchange, files), stream=True)
                try:
                    reading = exchange.receive(answer.status_code, answer.headers)
                    if reading is None:
                        return self.service.reply(answer, b"")
                    async for piece in answer.aiter_raw():
                        reading.feed(piece)
                    reading.end()
                finally:
                    await answer.aclose()
            return self.service.reply(answer, reading.body)
        except httpx.HTTPError as trouble:
            return self.service.broken(trouble)
        except UnicodeError:  # httpx reads the address of a redirect, whether or not it is followed
            return self.service.broken(httpx.RemoteProtocolError("the address of a redirect is not valid"))

    async def _concurrently(self, effect: Concurrently) -> list[Any]:
        results: list[Any] = [None] * len(effect.operations)
        waiting = iter(list(enumerate(effect.operations)))

        async def work() -> None:
            for number, operation in waiting:
                results[number] = await self.run(operation)
                effect.on_result(number, results[number])

        tasks = [asyncio.create_task(work()) for _ in range(min(effect.at_once, len(effect.operations)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return results

    def _store(self, address: httpx.URL) -> httpx.AsyncClient:
        """Return the client for the store at this address; create it on first use."""
        origin = (address.scheme, address.host, address.port)
        if origin not in self._stores:
            options = client_options(address, trusted=self._trusted)
            self._stores[origin] = httpx.AsyncClient(timeout=self.service.timeout_s, **options)
        return self._stores[origin]
