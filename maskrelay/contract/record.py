"""The base of every record that crosses a boundary as JSON, and the types that all records share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: A number of bytes, items or frames: exact in a double, the number type of the ledger's scripts.
Amount = Annotated[int, Field(ge=0, lt=1 << 53)]
#: The number of a frame or an item, counted from 0: an offset into the ledger's bitmaps.
Number = Annotated[int, Field(ge=0, lt=1 << 31)]


class Record(BaseModel):
    """A frozen value that crosses a boundary as JSON.

    Unknown fields are kept and written again with the record: a later release may have stored them, and may read them
    again after this one was rolled back to. Callers' input is checked for unknown names before it becomes a record.
    Fields that are None may be omitted, so every field that can be None has that default.
    """

    model_config = ConfigDict(frozen=True, extra="allow")


class Failure(Record):
    """Why a frame has no mask: a stable code of the error tree and a sentence without private data."""

    code: str
    detail: str
