"""The wire formats, each with its encoder of requests and its parser of responses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from maskrelay.contract.wire import lean2d
from maskrelay.contract.wire.image2d import Row, RowAnswer, encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.contract.wire.lean2d import encode_lean_request
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from maskrelay.contract.wire.volume3d import VolumeAnswer, encode_volume, parse_volume
from maskrelay.endpoints import Wire

A_co = TypeVar("A_co", covariant=True)


class Parse(Protocol[A_co]):
    """A function that parses the body of a response to `rows` and returns one answer for each row, in order.

    Raises AnswerInvalid if the body is invalid or has more than `max_bytes` bytes.
    """

    def __call__(self, body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int) -> Sequence[A_co]: ...


@dataclass(frozen=True, slots=True)
class WireFormat(Generic[A_co]):
    """One wire format.

    `name` is the name of the format in the settings. `encode` raises ValueError for rows that it does not support.
    """

    name: Wire
    encode: Callable[[Sequence[Row]], bytes]
    parse: Parse[A_co]
    content_type: str = "application/json"
    accept: str = "application/json"


IMAGE2D: WireFormat[RowAnswer] = WireFormat("image2d", encode_request, parse_answer)
LEAN2D: WireFormat[RowAnswer] = WireFormat(
    "lean2d", encode_lean_request, parse_lean_answer, lean2d.CONTENT_TYPE, lean2d.ACCEPT
)
#: A request in the format image2d that accepts a response in either format. The format of the response shows whether
#: the deployment supports lean2d.
LEAN2D_QUESTION: WireFormat[RowAnswer] = WireFormat("lean2d", encode_request, parse_lean_answer, accept=lean2d.ACCEPT)
VOLUME3D: WireFormat[VolumeAnswer] = WireFormat("volume3d", encode_volume, parse_volume)
