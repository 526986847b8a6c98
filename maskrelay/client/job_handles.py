"""Jobs and items with methods: what the clients return. They are the models of the HTTP API, and can do more."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, PrivateAttr

from maskrelay.client.download import SavedFile
from maskrelay.client.item_pixels import html_table, mask_array, mask_links, overlay_image, overlay_link
from maskrelay.client.progress import describe, progress_bar
from maskrelay.client.responses import pictures
from maskrelay.client.service_events import JobEvent
from maskrelay.contract.views.job_views import ItemShown, JobShown, SubmittedJob

if TYPE_CHECKING:
    from PIL import Image

    from maskrelay.client.async_client import AsyncClient
    from maskrelay.client.item_pixels import MaskArray
    from maskrelay.client.service_client import Client

OnProgress = Callable[[JobShown], None]
_Model = TypeVar("_Model", bound=BaseModel)


class _JobTable(JobShown):
    """A job that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        counts = self.counts
        head = ("job", "state", "items", "succeeded", "failed", "masks with flags")
        row = (self.id, self.state, counts.total, counts.succeeded, counts.failed, sum(self.flags.values()))
        return html_table(head, [row])

    def __str__(self) -> str:
        return f"job {self.id}: {describe(self)}"


class _ItemTable(ItemShown):
    """An item that a notebook shows as a table of its masks."""

    def _repr_html_(self) -> str:
        rows: list[tuple[object, ...]] = []
        for number, picture in pictures(self):
            rows += [
                (number, mask.prompt, mask.category, mask.area_px, ", ".join(mask.flags)) for mask in picture.masks
            ]
            if picture.error is not None:
                rows.append((number, None, None, None, f"{picture.error.code}: {picture.error.detail}"))
        name = self.source_name or self.custom_id
        return html_table((name, "state"), [("", self.state)]) + html_table(
            ("frame", "prompt", "category", "area px", "remarks"), rows
        )


class Job(_JobTable):
    """A job of a `Client`. Its fields are those of the moment at which it was returned; `status` asks again."""

    _client: "Client" = PrivateAttr()
    _ended_items: list[ItemShown] | None = PrivateAttr(None)

    @classmethod
    def of(cls, client: "Client", shown: JobShown) -> Self:
        """Return the handle of a job."""
        job = copied(cls, shown)
        job._client = client  # noqa: SLF001 - of its own class
        job._ended_items = _items_of(shown)  # noqa: SLF001 - of its own class
        return job

    def status(self) -> "Job":
        """Return the job in its current state."""
        return self._client.job(self.id)

    def wait(self, timeout: timedelta | None = None, on_progress: OnProgress | None = None) -> "Job":
        """Wait until the job has ended, and return it.

        Without `on_progress`, a progress bar is shown if tqdm is installed, and the program runs in a terminal or a
        notebook. Raises WaitTimeout if the job has not ended after `timeout`.
        """
        with progress_bar(on_progress) as shown:
            return self._client.wait(self.id, timeout, shown)

    def cancel(self) -> "Job":
        """Cancel the job, and return it. Raises NotCancellable."""
        return self._client.cancel(self.id)

    def items(self, *, as_completed: bool = False) -> "Iterator[Item]":
        """Yield the items. With `as_completed`, yield each item as soon as it has ended, until the job has ended."""
        return self._client.items(self.id, as_completed=as_completed)

    def events(self) -> Iterator[JobEvent]:
        """Yield the events of the job until it has ended."""
        return self._client.events(self.id)

    def save(self, folder: str | os.PathLike[str]) -> list[SavedFile]:
        """Save all available artifacts in `folder`.

        `manifest.json` describes the items as they were when the job was returned, if they came with it.
        """
        return self._client.save(self.id, folder, items=self._ended_items)


class Item(_ItemTable):
    """An item of a `Client`'s job."""

    _read: Callable[[str], bytes] = PrivateAttr()

    @classmethod
    def of(cls, read: Callable[[str], bytes], shown: ItemShown) -> Self:
        """Return the handle of an item. `read` returns the artifact with this link."""
        item = copied(cls, shown)
        item._read = read  # noqa: SLF001 - of its own class
        return item

    def mask(self, prompt: str, frame: int | None = None) -> "MaskArray":
        """Return a mask as a bool array of shape [rows, columns], in the geometry of the source.

        If the item has several frames, and `frame` is None, the shape is [frames, rows, columns]. Raises OptionInvalid
        for an unknown prompt or frame, and NotFound if the mask was not made.
        """
        stacked = frame is None and self.frames is not None
        files = [self._read(link) for link in mask_links(self, prompt, frame)]
        return mask_array(files, stacked=stacked)

    def overlay(self, frame: int | None = None) -> "Image.Image":
        """Return the overlay of a frame as a Pillow image. Raises OptionInvalid or NotFound."""
        return overlay_image(self._read(overlay_link(self, frame)))


class AsyncJob(_JobTable):
    """A job of an `AsyncClient`. It has the methods of `Job`."""

    _client: "AsyncClient" = PrivateAttr()
    _ended_items: list[ItemShown] | None = PrivateAttr(None)

    @classmethod
    def of(cls, client: "AsyncClient", shown: JobShown) -> Self:
        """Return the handle of a job."""
        job = copied(cls, shown)
        job._client = client  # noqa: SLF001 - of its own class
        job._ended_items = _items_of(shown)  # noqa: SLF001 - of its own class
        return job

    async def status(self) -> "AsyncJob":
        """Return the job in its current state."""
        return await self._client.job(self.id)

    async def wait(
        self,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the same as in Job
        on_progress: OnProgress | None = None,
    ) -> "AsyncJob":
        """Wait until the job has ended, and return it, as `Job.wait` does."""
        with progress_bar(on_progress) as shown:
            return await self._client.wait(self.id, timeout, shown)

    async def cancel(self) -> "AsyncJob":
        """Cancel the job, and return it. Raises NotCancellable."""
        return await self._client.cancel(self.id)

    def items(self, *, as_completed: bool = False) -> "AsyncIterator[AsyncItem]":
        """Yield the items. With `as_completed`, yield each item as soon as it has ended, until the job has ended."""
        return self._client.items(self.id, as_completed=as_completed)

    def events(self) -> AsyncIterator[JobEvent]:
        """Yield the events of the job until it has ended."""
        return self._client.events(self.id)

    async def save(self, folder: str | os.PathLike[str]) -> list[SavedFile]:
        """Save all available artifacts in `folder`, as `Job.save` does."""
        return await self._client.save(self.id, folder, items=self._ended_items)


class AsyncItem(_ItemTable):
    """An item of an `AsyncClient`'s job. It has the methods of `Item`."""

    _read: Callable[[str], Awaitable[bytes]] = PrivateAttr()

    @classmethod
    def of(cls, read: Callable[[str], Awaitable[bytes]], shown: ItemShown) -> Self:
        """Return the handle of an item. `read` returns the artifact with this link."""
        item = copied(cls, shown)
        item._read = read  # noqa: SLF001 - of its own class
        return item

    async def mask(self, prompt: str, frame: int | None = None) -> "MaskArray":
        """Return a mask as a bool array, as `Item.mask` does."""
        stacked = frame is None and self.frames is not None
        files = [await self._read(link) for link in mask_links(self, prompt, frame)]
        return mask_array(files, stacked=stacked)

    async def overlay(self, frame: int | None = None) -> "Image.Image":
        """Return the overlay of a frame as a Pillow image. Raises OptionInvalid or NotFound."""
        return overlay_image(await self._read(overlay_link(self, frame)))


def copied(kind: type[_Model], shown: BaseModel) -> _Model:
    """Return the model as an instance of `kind`, which is a subclass of the model or of one of its base classes."""
    return kind.model_construct(shown.model_fields_set & kind.model_fields.keys(), **dict(shown))


def _items_of(shown: JobShown) -> list[ItemShown] | None:
    """Return the items that came with the response to the submission, because the job has ended."""
    return shown.items if isinstance(shown, SubmittedJob) else None
