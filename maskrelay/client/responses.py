"""Parse the service's JSON into the models of the contract."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from maskrelay.client.exchange import Operation
from maskrelay.client.service_calls import call, get
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


class Pages(Generic[_List]):
    """The pages of a list, in order. `cursor` is where the next page begins."""

    def __init__(self, path: str, kind: type[_List], cursor: str | None = None, **query: Any) -> None:
        self.cursor = cursor
        self._path = path
        self._kind: type[_List] = kind
        self._query = query
        self._ended = False

    def following(self) -> Operation[_List | None]:
        """Return the next page, or None after the last one."""
        if self._ended:
            return None
        page: _List = read_as(self._kind, (yield from call(get(self._path, cursor=self.cursor, **self._query))))
        self._ended = page.next is None
        self.cursor = page.next or self.cursor
        return page


def pictures(item: ItemShown) -> Sequence[tuple[int | None, ItemShown | FrameShown]]:
    """Return the objects that contain an item's masks, with their frame numbers: the item itself, or its frames."""
    if item.frames is None:
        return [(None, item)]
    return [(frame.frame, frame) for frame in item.frames]
