"""The base of every record that crosses a boundary as JSON, and the types that all records share."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

#: A number of bytes, items or frames. The limit is the largest integer that the scripts of the ledger can represent
#: exactly as a double.
Amount = Annotated[int, Field(ge=0, lt=1 << 53)]
#: The number of a frame or an item, counted from 0. It is used as an offset into the bitmaps of the ledger.
Number = Annotated[int, Field(ge=0, lt=1 << 31)]


class Record(BaseModel):
    """A frozen value that crosses a boundary as JSON.

    Unknown fields of a record are kept, and are written again with the record. They may come from a newer version of
    the software, which an operator has replaced by this version and may install again later.

    In the input of callers, unknown names are rejected before a record is made from it. The JSON may omit a field whose
    value is None, so every field that can be None has None as its default. If the default of a field is an empty dict,
    use a factory in records that are parsed often. Otherwise, pydantic copies `{}` by `deepcopy` for each record, which
    takes longer than parsing a short record.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow")


class Failure(Record):
    """The reason why a frame has no mask: a stable error code, and a sentence without private data."""

    code: str
    detail: str
