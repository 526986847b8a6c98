"""Parse the service's JSON into the models of the contract."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from maskrelay.client.service_connection import Connection
from maskrelay.contract.views.dead_letter_views import DeadLetterList
from maskrelay.contract.views.job_views import (
    FrameShown,
    ItemList,
    ItemShown,
    JobList,
)
from maskrelay.errors import ServiceAnswerUnknown

_Shown = TypeVar("_Shown", bound=BaseModel)
_List = TypeVar("_List", JobList, ItemList, DeadLetterList)


def read_as(kind: type[_Shown], answer: Any) -> _Shown:
    """Parse a response into a model. Raises ServiceAnswerUnknown if the response does not match the model."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors()[0]["loc"]) or "body"
        raise ServiceAnswerUnknown(
            f"the service returned a value of {where} that this client cannot read; is the service newer?"
        ) from None


def pages(connection: Connection, path: str, kind: type[_List], **query: Any) -> Iterator[_List]:
    """Yield every page of a list, in order."""
    cursor: str | None = None
    while True:
        page = read_as(kind, connection.get(path, cursor=cursor, **query))
        yield page
        cursor = page.next
        if cursor is None:
            return


def pictures(item: ItemShown) -> Sequence[tuple[int | None, ItemShown | FrameShown]]:
    """Return the objects that contain an item's masks, with their frame numbers: the item itself, or its frames."""
    if item.frames is None:
        return [(None, item)]
    return [(frame.frame, frame) for frame in item.frames]
