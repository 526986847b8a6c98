"""The wire formats: how rows are encoded in a request, and how the response is parsed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from maskrelay.contract.wire.image2d import Row, RowAnswer, encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.contract.wire.volume3d import VolumeAnswer, encode_volume, parse_volume
from maskrelay.endpoints import Wire

A_co = TypeVar("A_co", covariant=True)


class Parse(Protocol[A_co]):
    """A function that parses the answers to `rows`, in order, from a body of at most `max_bytes`.

    Raises AnswerInvalid.
    """

    def __call__(self, body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int) -> Sequence[A_co]: ...


@dataclass(frozen=True, slots=True)
class WireFormat(Generic[A_co]):
    """One wire format, under its name in the settings. `encode` raises ValueError for rows that it does not support."""

    name: Wire
    encode: Callable[[Sequence[Row]], bytes]
    parse: Parse[A_co]


IMAGE2D: WireFormat[RowAnswer] = WireFormat("image2d", encode_request, parse_answer)
VOLUME3D: WireFormat[VolumeAnswer] = WireFormat("volume3d", encode_volume, parse_volume)
