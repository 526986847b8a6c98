"""Reading and decoding of the source of a frame, within the budgets of memory and threads of the child process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import DecodeTooLarge, LedgerUnavailable, SourceTooLarge
from maskrelay.imaging.canvas.encode import CanvasCoding
from maskrelay.imaging.frame_pixels import PreparedFrame, draw_footprint, needs_pixels, prepare_opened
from maskrelay.imaging.read.source import OpenedFrame, open_frame
from maskrelay.ledger.claims import Claim
from worker.segment.frame_context import DecodeOverran, FrameContext, Stopwatch

T = TypeVar("T")


async def prepare_frame(
    context: FrameContext,
    claim: Claim,
    planned: PlannedFrame,
    watch: Stopwatch,
    coding: CanvasCoding,
    *,
    hashed: bool,
) -> PreparedFrame:
    """Decode the source of the frame, and encode its canvas for a request. `hashed` adds the canvas's hash.

    Raises the ItemError of the source, or DecodeOverran if the time limit is exceeded.
    """
    if planned.size > context.max_decode_bytes:
        raise SourceTooLarge(f"the file has {planned.size} bytes; at most {context.max_decode_bytes} are allowed")
    reading = planned.reading

    async with opened_source(context, planned) as source:

        def prepared(opened: OpenedFrame) -> PreparedFrame:
            about: dict[str, Any] = {"reading": reading, "square_pixels": planned.square_pixels, "coding": coding}
            return prepare_opened(opened, planned.prompts, hashed=hashed, lap=watch.lap, **about)

        def begin() -> PreparedFrame | OpenedFrame:
            """Open the source. If enough memory is free, which is usual, also decode it."""
            watch.lap("fetch")
            opened = open_frame(source, reading, max_pixels=context.max_pixels)
            if not context.decoding.try_take(opened.footprint):
                return opened
            try:
                return prepared(opened)
            finally:
                context.decoding.release(opened.footprint)

        begun = await decode_in_turn(context, claim, begin)
        if isinstance(begun, OpenedFrame):
            opened = begun
            _check_footprint(context, "Decoding it", opened.footprint)
            async with context.decoding.of(opened.footprint):
                begun = await decode_in_turn(context, claim, lambda: prepared(opened))
    _check_footprint(context, "Drawing its masks", drawing_footprint(planned, begun))
    return begun


@asynccontextmanager
async def opened_source(context: FrameContext, planned: PlannedFrame) -> AsyncIterator[bytes | Path]:
    """Open the source of the frame.

    If the source has a single frame, its bytes count against the budget `files` until the block ends. A source with
    several frames is not read into memory, but opened as a local copy.
    """
    async with context.files.of(0 if planned.reading.several else planned.size):
        with ExitStack() as held:
            opened = context.sources.opened(planned.opened_from, planned.extent, planned.reading)
            if planned.pinned is None:
                yield await asyncio.to_thread(held.enter_context, opened)
            else:  # a slow server outside must not take the threads that wait for Redis and storage
                loop = asyncio.get_running_loop()
                yield await loop.run_in_executor(context.fetching, held.enter_context, opened)


async def decode_in_turn(context: FrameContext, claim: Claim, call: Callable[[], T]) -> T:
    """Run decoding work in a thread when it is the tenant's turn.

    Raises DecodeOverran if the time limit is exceeded.
    """
    try:
        async with context.decoders.place(claim.tenant):
            decoding = asyncio.get_running_loop().run_in_executor(context.threads, call)
            async with asyncio.timeout(context.decode_timeout.total_seconds()):
                return await asyncio.shield(decoding)
    except TimeoutError as error:
        raise DecodeOverran from error
    finally:
        if seconds := context.decoders.whole_seconds(claim.tenant):
            with suppress(LedgerUnavailable):
                await asyncio.to_thread(context.claims.used, claim.lane, claim.tenant, seconds)


def _check_footprint(context: FrameContext, what: str, footprint: int) -> None:
    """Raise DecodeTooLarge if the work needs more memory than the whole budget."""
    if footprint > context.decoding.total:
        raise DecodeTooLarge(f"{what} may take {footprint} bytes of memory; at most {context.decoding.total}.")


def drawing_footprint(planned: PlannedFrame, prepared: PreparedFrame) -> int:
    """Return the memory, in bytes, that drawing the masks of the frame takes."""
    return draw_footprint(prepared.box, len(planned.prompts), planned.outputs)


def keep_picture(
    context: FrameContext, prepared: PreparedFrame, outputs: Sequence[Output], held: ExitStack
) -> PreparedFrame:
    """Return the frame, with its image only if the image is needed again for drawing and there is memory for it.

    The memory is reserved until `held` ends.
    """
    size = prepared.picture.pixels.nbytes if prepared.picture is not None else 0
    if needs_pixels(outputs) and context.pictures.try_take(size):
        held.callback(context.pictures.release, size)
        return prepared
    return replace(prepared, picture=None)
