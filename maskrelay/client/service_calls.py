"""Calls of the service: the requests, their repetition, and the errors that its problem documents name."""

import json
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from maskrelay.client.exchange import Broken, Exchange, Operation, Pause, Reading, Receive, Reply, WholeBody
from maskrelay.client.service_address import is_address
from maskrelay.errors import MaskrelayError, RequestError, ServiceAnswer, ServiceAnswerUnknown, ServiceUnreachable, tree
from maskrelay.network.response_bodies import ResponseTooLarge

_BUSY = frozenset({429, 502, 503, 504})
_TRIES = 4
#: Three pauses in seconds: the client's own first pause, its own longest pause, and the longest pause that the service
#: may request.
_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED = 0.25, 2.0, 30.0
#: No service asks for a pause of so many seconds.
_FOREVER = 1e9
#: The largest problem document that is read, in bytes.
_MOST_PROBLEM_BYTES = 1 << 20
_BY_CODE = {cls.code: cls for _, cls in tree()}
#: What to do about an error, by its code, if the service's own text does not say it.
_ADVICE = {
    "unauthenticated": "Check MASKRELAY_API_KEY.",
    "scope_missing": "Use a key with that scope, or ask your operator for one.",
    "not_found": "Check the id, and that the job belongs to your key.",
    "quota_reached": "Wait until some of your jobs have ended, or cancel them.",
    "ledger_unavailable": "Repeat the call later; nothing was lost.",
    "storage_unavailable": "Repeat the call later; nothing was lost.",
    "not_cancellable": "The job is ending. Wait for it.",
}


def get(address: str, *, wait_s: int = 0, **query: Any) -> Exchange:
    """Return a GET request. Parameters that are None are left out.

    `wait_s` requests a long poll: a response that comes when the job has ended, or after this many seconds.
    """
    params = {name: str(value) for name, value in query.items() if value is not None}
    return Exchange("GET", address, params, {"Prefer": f"wait={wait_s}"} if wait_s else {}, wait_s=wait_s)


def post(address: str, **query: Any) -> Exchange:
    """Return a POST request without a body. Parameters that are None are left out."""
    return Exchange("POST", address, {name: str(value) for name, value in query.items() if value is not None})


def call(exchange: Exchange, *, patience: timedelta = timedelta(0)) -> Operation[Any]:
    """Return the JSON response to a request that can be repeated. `patience` and the errors are those of `reply_to`."""
    reply = yield from reply_to(exchange, patience=patience)
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        raise ServiceAnswerUnknown(f"{reply.url.host} did not return JSON; is this maskrelay?") from None


def reply_to(exchange: Exchange, *, patience: timedelta = timedelta(0)) -> Operation[Reply]:
    """Return the successful response to a request that can be repeated.

    While the service is unreachable or busy, the request is sent up to four times, and then again and again until the
    time `patience` has passed. Raises the class of `maskrelay.errors` that the problem document names, or
    ServiceUnreachable or ServiceAnswerUnknown.
    """
    given_up, tries = time.monotonic() + patience.total_seconds(), 0
    while True:
        tries += 1
        try:
            return (yield from reply_once(exchange))
        except MaskrelayError as error:
            if not error.retryable or (tries >= _TRIES and time.monotonic() > given_up):
                raise
            pause = Pause(pause_after(tries, error))
        yield pause


def delete(address: str) -> Operation[None]:
    """Delete something.

    Raises ServiceAnswerUnknown for a response other than 204, such as the page of a proxy that asks to sign in.
    """
    reply = yield from reply_to(Exchange("DELETE", address))
    if reply.status != httpx.codes.NO_CONTENT:
        said = f"{reply.url.host} returned {reply.status}, which does not confirm the deletion; is this maskrelay?"
        raise ServiceAnswerUnknown(said)


def reply_once(exchange: Exchange) -> Operation[Reply]:
    """Return the successful response to a request that is sent once. Raises the same errors as `reply_to`."""
    reply = yield replace(exchange, receive=_problem_or(exchange.receive))
    error = error_of(reply)
    if error is not None:
        raise error
    assert isinstance(reply, Reply)
    return reply


def _problem_or(receive: Receive) -> Receive:
    """Return a function that reads a problem document itself, and passes any other response on."""

    def choose(status: int, headers: httpx.Headers) -> Reading | None:
        if lies_elsewhere(status, headers) or 200 <= status < 300:
            return receive(status, headers)
        return WholeBody(status, headers, _MOST_PROBLEM_BYTES)

    return choose


def lies_elsewhere(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether the service redirects to its object store. A redirect by a proxy in between has no ETag."""
    return status == httpx.codes.TEMPORARY_REDIRECT and {"etag", "location"} <= headers.keys()


def address_elsewhere(reply: Reply) -> httpx.URL:
    """Return the address in the object store to which the service redirects. Raises ServiceAnswerUnknown."""
    with suppress(httpx.InvalidURL, ValueError):
        if is_address(address := reply.url.join(reply.headers["location"])):
            return address
    raise ServiceAnswerUnknown("The service redirects to something that is not an address.")


def error_of(reply: Reply | Broken) -> MaskrelayError | None:
    """Return the error that a response means, or None if it is a success."""
    if isinstance(reply, Broken):
        return _unreachable(reply)
    if 200 <= reply.status < 300 or lies_elsewhere(reply.status, reply.headers):
        return None
    return _problem(reply)


def pause_after(tries: int, error: MaskrelayError) -> float:
    """Return the seconds until the next attempt.

    If the service requests no pause, the pause grows with each attempt and has jitter.
    """
    if error.answer is not None and error.answer.retry_after_s is not None:
        return min(error.answer.retry_after_s, _LONGEST_ASKED)
    return min(_PAUSE * float(2 ** (tries - 1)), _LONGEST_PAUSE) * random.uniform(0.5, 1.5)


def _unreachable(broken: Broken) -> MaskrelayError:
    trouble, base = broken.trouble, broken.base
    if isinstance(trouble, ResponseTooLarge):
        return ServiceAnswerUnknown(f"{httpx.URL(base).host} returned a larger body than this client reads")
    if isinstance(trouble, httpx.ProxyError):
        advice = f"the proxy (HTTPS_PROXY, HTTP_PROXY) refuses the connection, {trouble}"
    elif isinstance(trouble, httpx.ConnectError):
        advice = "is it running, and is MASKRELAY_URL right?"
    elif isinstance(trouble, httpx.TimeoutException):
        advice = f"it did not respond within {broken.timeout_s:g} s"
    else:
        advice = "the connection broke"
    return ServiceUnreachable(f"cannot reach maskrelay at {base}: {advice} ({type(trouble).__name__})")


def _problem(reply: Reply) -> MaskrelayError:
    """Return the error for a response other than 2xx."""
    try:
        problem = json.loads(reply.body)
        code, detail = str(problem["code"]), str(problem.get("detail") or problem.get("title"))
    except (ValueError, RecursionError, TypeError, KeyError):
        unknown = ServiceUnreachable if reply.status in _BUSY else ServiceAnswerUnknown
        said = unknown(f"{reply.base} returned {reply.status} without an explanation; is this maskrelay?")
        asked = reply.headers.get("retry-after", "")  # a gateway in between may ask for a pause too
        if asked.isdecimal():
            said.answer = ServiceAnswer(reply.status, said.code, retry_after_s=float(asked))
        return said
    error = _BY_CODE[code](detail) if code in _BY_CODE else RequestError(f"{detail} ({code})")
    if code in _ADVICE:
        error.add_note(_ADVICE[code])
    error.answer = _service_answer(reply.status, code, problem)
    return error


def _service_answer(status: int, code: str, problem: dict[str, Any]) -> ServiceAnswer:
    """Return the service's answer with the optional members of the problem document.

    A member whose form this client does not know is treated as absent.
    """
    retry_after_s, places, trace_id = (problem.get(name) for name in ("retry_after_s", "errors", "trace_id"))
    return ServiceAnswer(
        status,
        code,
        retry_after_s=_pause(retry_after_s),
        places=tuple(
            (str(place.get("pointer", "")), str(place.get("detail", "")))
            for place in (places if isinstance(places, list) else ())
            if isinstance(place, dict)
        ),
        trace_id=trace_id if isinstance(trace_id, str) else None,
    )


def _pause(seconds: Any) -> float | None:
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < _FOREVER else None
