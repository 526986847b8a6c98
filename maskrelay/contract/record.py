"""The base of every record that crosses a boundary as JSON, and the types that all records share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: A number of bytes, items or frames. The limit is the largest integer that the scripts of the ledger can represent
#: exactly as a double.
Amount = Annotated[int, Field(ge=0, lt=1 << 53)]
#: The number of a frame or an item, counted from 0. It is used as an offset into the bitmaps of the ledger.
Number = Annotated[int, Field(ge=0, lt=1 << 31)]


class Record(BaseModel):
    """A frozen value that crosses a boundary as JSON.

    Unknown fields are kept, and written again with the record. A newer version of the software may have stored them
    before an operator went back to this version, and may need them later. The input of callers is checked for unknown
    names before it becomes a record. A field whose value is None may be omitted in the JSON, so the default of such a
    field is None. The default of a dict is made by a factory, because pydantic copies `{}` for each record with
    `deepcopy`, which takes longer than parsing a short record.
    """

    model_config = ConfigDict(frozen=True, extra="allow")


class Failure(Record):
    """The reason why a frame has no mask: a stable error code, and a sentence without private data."""

    code: str
    detail: str
