"""HTTP requests to the service.

Requests that can be repeated are retried, and problem documents are raised as errors.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from maskrelay.errors import MaskrelayError, RequestError, ServiceAnswer, ServiceAnswerUnknown, ServiceUnreachable, tree
from maskrelay.network.certificates import client_context
from maskrelay.network.http_clients import client_options
from maskrelay.network.response_bodies import ResponseTooLarge, read_body

_BUSY = frozenset({429, 502, 503, 504})
_TRIES = 4
#: Three pauses in seconds: the client's own first pause, its own longest pause, and the longest pause that the service
#: may request.
_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED = 0.25, 2.0, 30.0
#: The largest JSON document and the largest problem document that are read, in bytes.
_MOST_BYTES, _MOST_PROBLEM_BYTES = 256 << 20, 1 << 20
_BY_CODE = {cls.code: cls for _, cls in tree()}
#: A function that creates a new request for each attempt, because a streamed body cannot be sent twice.
Ask = Callable[[httpx.Client], httpx.Request]


class Connection:
    """Connections to the service at `url` with one API key.

    The key is sent only to this address, even if a link names another address.
    """

    def __init__(self, url: str, api_key: str, timeout: timedelta) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout.total_seconds()
        headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        self._trusted = client_context()
        options = client_options(self.url, trusted=self._trusted)
        self._http = httpx.Client(headers=headers, timeout=self.timeout, **options)
        #: The HTTP clients for object stores, by scheme, host and port.
        self._stores: dict[tuple[str, str, int | None], httpx.Client] = {}

    def close(self) -> None:
        self._http.close()
        for store in self._stores.values():
            store.close()

    def address(self, path_or_link: str) -> str:
        """Return the URL of a path or a link. A link may contain another address of the service, which is replaced."""
        _, found, rest = path_or_link.rpartition("/v1/")  # the prefix of a gateway may contain another /v1/
        return f"{self.url}/v1/{rest}" if found else self.url + path_or_link

    def get(self, path: str, *, patience: timedelta = timedelta(0), wait_s: int = 0, **query: Any) -> Any:
        """Return the JSON at `path`.

        `patience` is the same as in `answer`. `wait_s` requests a long poll: a response that comes when the job has
        ended, or after this many seconds.
        """
        params = {name: value for name, value in query.items() if value is not None}
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        timeout = self.timeout + wait_s

        def ask(http: httpx.Client) -> httpx.Request:
            return http.build_request("GET", self.address(path), params=params, headers=headers, timeout=timeout)

        with self.answer(ask, patience=patience) as answer:
            return _json(answer)

    def send(self, ask: Ask) -> Any:
        """Return the JSON response to a request that can be repeated."""
        with self.answer(ask) as answer:
            return _json(answer)

    @contextmanager
    def answer(self, ask: Ask, *, patience: timedelta = timedelta(0)) -> Iterator[httpx.Response]:
        """Yield the successful response as a stream.

        While the service is unreachable or busy, the request is sent up to four times, and then again and again until
        the time `patience` has passed. Raises the class of `maskrelay.errors` that the problem document names, or
        ServiceUnreachable or ServiceAnswerUnknown.
        """
        given_up, tries = time.monotonic() + patience.total_seconds(), 0
        while True:
            tries += 1
            try:
                answer = self._http.send(ask(self._http), stream=True)
                error = None if answer.is_success or _lies_elsewhere(answer) else self._problem(answer)
            except httpx.HTTPError as trouble:
                error = self._unreachable(trouble)
            if error is None:
                break
            if not error.retryable or (tries >= _TRIES and time.monotonic() > given_up):
                raise error
            time.sleep(_pause(tries, error))
        try:
            yield answer
        except httpx.HTTPError as trouble:
            raise self._unreachable(trouble) from None
        finally:
            answer.close()

    @contextmanager
    def file(self, link: str) -> Iterator[tuple[httpx.Headers, httpx.Response]]:
        """Yield the service's headers for a file, and the streamed response with the file's content.

        The content comes from the service, or from the object store to which the service redirects. The store does not
        receive the API key. Raises the errors of `answer`, and ServiceUnreachable for any failure of the store.
        """
        address = self.address(link)
        with self.answer(lambda http: http.build_request("GET", address)) as first:
            if not _lies_elsewhere(first):
                yield first.headers, first
                return
            with self._stored(first.url.join(first.headers["location"])) as answer:
                yield first.headers, answer

    @contextmanager
    def _stored(self, address: httpx.URL) -> Iterator[httpx.Response]:
        store = (
            f"the object store at {address.host}, to which maskrelay redirects,"  # the rest of the address is secret
        )
        try:
            with self._store(address).stream("GET", address) as answer:
                if not answer.is_success:
                    raise ServiceUnreachable(f"{store} returned {answer.status_code}")
                yield answer
        except httpx.HTTPError as trouble:
            raise ServiceUnreachable(f"cannot reach {store} ({type(trouble).__name__})") from None

    def _store(self, address: httpx.URL) -> httpx.Client:
        """Return the client for the store at this address; create it on first use."""
        origin = (address.scheme, address.host, address.port)
        if origin not in self._stores:
            options = client_options(address, trusted=self._trusted)
            self._stores[origin] = httpx.Client(timeout=self.timeout, **options)
        return self._stores[origin]

    def _unreachable(self, trouble: httpx.HTTPError) -> ServiceUnreachable:
        if isinstance(trouble, httpx.ProxyError):
            advice = f"the proxy (HTTPS_PROXY, HTTP_PROXY) refuses the connection, {trouble}"
        elif isinstance(trouble, httpx.ConnectError):
            advice = "is it running, and is MASKRELAY_URL right?"
        elif isinstance(trouble, httpx.TimeoutException):
            advice = f"it did not respond within {self.timeout:g} s"
        else:
            advice = "the connection broke"
        return ServiceUnreachable(f"cannot reach maskrelay at {self.url}: {advice} ({type(trouble).__name__})")

    def _problem(self, answer: httpx.Response) -> MaskrelayError:
        """Return the error for a response other than 2xx."""
        try:
            problem = json.loads(read_body(answer, _MOST_PROBLEM_BYTES))
            code, detail = str(problem["code"]), str(problem.get("detail") or problem.get("title"))
        except (httpx.DecodingError, ValueError, TypeError, KeyError):
            said = f"{self.url} returned {answer.status_code} without an explanation; is this maskrelay?"
            unknown = ServiceUnreachable if answer.status_code in _BUSY else ServiceAnswerUnknown
            return unknown(said)
        finally:
            answer.close()
        error = _BY_CODE[code](detail) if code in _BY_CODE else RequestError(f"{detail} ({code})")
        error.answer = _service_answer(answer.status_code, code, problem)
        return error


def _service_answer(status: int, code: str, problem: dict[str, Any]) -> ServiceAnswer:
    """Return the service's answer with the optional members of the problem document.

    A member whose form this client does not know is treated as absent.
    """
    retry_after_s, places, trace_id = (problem.get(name) for name in ("retry_after_s", "errors", "trace_id"))
    return ServiceAnswer(
        status,
        code,
        retry_after_s=float(retry_after_s) if isinstance(retry_after_s, int | float) else None,
        places=tuple(
            (str(place.get("pointer", "")), str(place.get("detail", "")))
            for place in (places if isinstance(places, list) else ())
            if isinstance(place, dict)
        ),
        trace_id=trace_id if isinstance(trace_id, str) else None,
    )


def _lies_elsewhere(answer: httpx.Response) -> bool:
    """Return whether the service redirects to its object store. A redirect by a proxy in between has no ETag."""
    return answer.status_code == httpx.codes.TEMPORARY_REDIRECT and {"etag", "location"} <= answer.headers.keys()


def _pause(tries: int, error: MaskrelayError) -> float:
    """Return the seconds until the next attempt.

    If the service requests no pause, the pause grows with each attempt and has jitter.
    """
    if error.answer is not None and error.answer.retry_after_s is not None:
        return min(error.answer.retry_after_s, _LONGEST_ASKED)
    return min(_PAUSE * float(2 ** (tries - 1)), _LONGEST_PAUSE) * random.uniform(0.5, 1.5)


def _json(answer: httpx.Response) -> Any:
    try:
        return json.loads(read_body(answer, _MOST_BYTES))
    except ResponseTooLarge:
        raise ServiceAnswerUnknown(f"{answer.url.host} returned more than {_MOST_BYTES >> 20} MiB") from None
    except ValueError:
        raise ServiceAnswerUnknown(f"{answer.url.host} did not return JSON; is this maskrelay?") from None
