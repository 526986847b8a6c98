"""The blocking driver: it carries out operations in threads, over connections to the service and to object stores."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
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


class Interrupted(Exception):
    """Another of the operations that run concurrently has failed, so this one ends."""


class _Stop(threading.Event):
    """Set if no further effect may begin. With `at_once`, a body that is arriving is not read to its end either."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = False


class Connection:
    """Connections to the service at `url` with one API key. Several threads may use them.

    The key is sent only to this address, even if a link names another address.
    """

    def __init__(self, url: str, api_key: str, timeout: timedelta) -> None:
        self.service: ServiceAddress = ServiceAddress(url, api_key, timeout.total_seconds())
        self._trusted = client_context()
        options = client_options(self.service.url, trusted=self._trusted)
        self._http = httpx.Client(headers=self.service.headers, timeout=self.service.timeout_s, **options)
        #: The HTTP clients for object stores, by scheme, host and port.
        self._stores: dict[tuple[str, str, int | None], httpx.Client] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._http.close()
        for store in self._stores.values():
            store.close()

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation, and return its result."""
        return self._run(operation, _Stop())

    @contextlib.contextmanager
    def streamed(self, exchange: Exchange) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of a body that never ends. Raises the error of a response other than 2xx.

        A connection that breaks raises httpx.HTTPError.
        """
        answer = self._http.send(self.service.request(self._http, exchange), stream=True)
        try:
            if not answer.is_success:
                whole = WholeBody(answer.status_code, answer.headers)
                for piece in answer.iter_raw():
                    whole.feed(piece)
                error = error_of(self.service.reply(answer, whole.body))
                raise error or ServiceAnswerUnknown(f"{answer.url.host} redirects the stream; is this maskrelay?")
            yield answer.iter_raw()
        finally:
            answer.close()

    def _run(self, operation: Operation[T], stop: _Stop) -> T:
        result: Any = None
        with contextlib.closing(operation):  # if an effect fails, the operation removes its temporary files
            while True:
                try:
                    effect = operation.send(result)
                except StopIteration as ended:
                    value: T = ended.value
                    return value
                if stop.is_set():
                    raise Interrupted
                if isinstance(effect, Exchange):
                    result = self._exchange(effect, stop)
                elif isinstance(effect, Pause):
                    result = None
                    stop.wait(effect.seconds)
                else:
                    result = self._concurrently(effect)

    def _exchange(self, exchange: Exchange, stop: _Stop) -> Reply | Broken:
        try:
            http = self._store(httpx.URL(exchange.address)) if exchange.elsewhere else self._http
            with parts(exchange.files) as files:
                answer = http.send(self.service.request(http, exchange, files), stream=True)
                try:
                    reading = exchange.receive(answer.status_code, answer.headers)
                    if reading is None:
                        return self.service.reply(answer, b"")
                    for piece in answer.iter_raw():
                        if stop.at_once:
                            raise Interrupted
                        reading.feed(piece)
                    reading.end()
                finally:
                    answer.close()
            return self.service.reply(answer, reading.body)
        except httpx.HTTPError as trouble:
            return self.service.broken(trouble)
        except UnicodeError:  # httpx reads the address of a redirect, whether or not it is followed
            return self.service.broken(httpx.RemoteProtocolError("the address of a redirect is not valid"))

    def _concurrently(self, effect: Concurrently) -> list[Any]:
        if len(effect.operations) < 2:  # threads would cost as much as the exchange of a small artifact
            results = [self.run(operation) for operation in effect.operations]
            for number, result in enumerate(results):
                effect.on_result(number, result)
            return results
        stop = _Stop()
        results = [None] * len(effect.operations)
        futures: dict[Future[Any], int] = {}
        taken: set[Future[Any]] = set()

        def take(future: Future[Any]) -> None:
            taken.add(future)
            results[futures[future]] = future.result()
            effect.on_result(futures[future], results[futures[future]])

        with ThreadPoolExecutor(effect.at_once, thread_name_prefix="maskrelay-client") as threads:
            try:
                for number, operation in enumerate(effect.operations):
                    futures[threads.submit(self._run, operation, stop)] = number
                for future in as_completed(futures):
                    take(future)
            except BaseException as error:
                stop.at_once = not isinstance(error, Exception)  # the user has interrupted the program
                stop.set()
                threads.shutdown(cancel_futures=True)
                for future in [one for one in futures if not one.cancelled() and one.exception() is None]:
                    if future not in taken:
                        take(future)  # what was in progress, and has succeeded, counts
                raise
        return results

    def _store(self, address: httpx.URL) -> httpx.Client:
        """Return the client for the store at this address; create it on first use."""
        origin = (address.scheme, address.host, address.port)
        with self._lock:
            if origin not in self._stores:
                options = client_options(address, trusted=self._trusted)
                self._stores[origin] = httpx.Client(timeout=self.service.timeout_s, **options)
            return self._stores[origin]
