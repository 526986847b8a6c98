"""The client's requests and pauses as values, which an operation yields and a driver carries out.

An operation is a generator. It decides everything, but does no input or output itself: it yields an effect (`Exchange`,
`Pause` or `Concurrently`), and is resumed with the effect's result. A driver carries out the effects. There are two
drivers, `Connection` for threads and `AsyncConnection` for an event loop, so each operation is written once.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import httpx

from maskrelay.client.upload_sources import NamedSource
from maskrelay.network.response_bodies import Decoder

#: The largest JSON document, in bytes.
_MOST_BYTES = 256 << 20

T = TypeVar("T")


class Reading(Protocol):
    """A receiver of one response's body, which it gets piece by piece, as it was sent."""

    def feed(self, piece: bytes) -> None: ...

    def end(self) -> None: ...

    @property
    def body(self) -> bytes: ...


class WholeBody:
    """A receiver that keeps the decoded body. Raises httpx.DecodingError if the body is too large or damaged."""

    def __init__(self, _status: int, headers: httpx.Headers, most: int = _MOST_BYTES) -> None:
        self._decoder = Decoder(headers, most)
        self._read = bytearray()

    def feed(self, piece: bytes) -> None:
        for decoded in self._decoder.feed(piece):
            self._read += decoded

    def end(self) -> None:
        self._decoder.end()

    @property
    def body(self) -> bytes:
        return bytes(self._read)


#: A function that returns the receiver for a response with this status and these headers, or None if its body is not
#: wanted.
Receive = Callable[[int, httpx.Headers], Reading | None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the receiver of its response. The driver resumes the operation with a Reply or a Broken."""

    method: str
    #: A path of the service, a link from one of its responses, or the whole URL of another server.
    address: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The members of a JSON body. None if there is none.
    json: Any = None
    #: The fields and the files of a form.
    form: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[NamedSource] = ()
    #: The seconds that the service may take in addition to the connection's own limit.
    wait_s: float = 0
    #: Whether the request goes to another server, which must not receive the API key.
    elsewhere: bool = False
    receive: Receive = WholeBody


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to an Exchange. `body` is empty if the receiver kept nothing."""

    status: int
    headers: httpx.Headers
    url: httpx.URL
    body: bytes
    #: The address of the service, as the client was given it.
    base: str


@dataclass(frozen=True, slots=True)
class Broken:
    """An Exchange to which there was no complete response. `timeout_s` is the connection's own limit."""

    trouble: httpx.HTTPError
    base: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long. The driver resumes the operation with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Concurrently:
    """Run operations, at most `at_once` at a time. The driver resumes the operation with the list of their results.

    `on_result` is called with the position and the result of each operation as soon as it has ended, never by two
    threads at once. If an operation raises an error, no further operation begins, and the error is raised when those
    that run have ended.
    """

    operations: Sequence["Operation[Any]"]
    at_once: int
    on_result: Callable[[int, Any], None] = lambda _number, _result: None


Effect = Exchange | Pause | Concurrently
Operation = Generator[Effect, Any, T]
