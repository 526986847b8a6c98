"""Receivers of request bodies, which need limited memory. The sender is slowed down to the speed of storage."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from api.dependencies import Limits, in_thread
from api.http.json_pointer import pointer
from api.submissions.multipart import Field, Form
from api.submissions.upload_quota import ByteCheck
from api.submissions.uploads import Incoming
from maskrelay.errors import BodyIncomplete, BodyTooLarge, EncodingUnsupported, Malformed, NoItems
from maskrelay.rules.run_lines import prompt_too_long, too_many_prompts

#: The number of bytes that are passed to a thread at once. While they are written, no more bytes are received.
_FEED_BYTES = 1 << 20
OPTIONS_BYTES = 64 << 10
#: The media type of a run: the options, and then an item per line.
LINES = "application/x-ndjson"
#: The largest JSON body. Items refer to uploads by id, so this is enough for ten thousand items with their own prompts.
JSON_BYTES = 32 << 20


async def receive(
    request: Request, feed: Callable[[bytes], None], max_bytes: int, check: ByteCheck | None = None
) -> None:
    """Pass the body to `feed` in pieces, in threads.

    Before each piece of at least _FEED_BYTES, call `check` with the number of bytes received so far.

    Raises EncodingUnsupported, BodyIncomplete or BodyTooLarge, and the errors of `feed` and `check`.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:  # it would be stored compressed, and no decoder would recognise it
        raise EncodingUnsupported(headers={"Accept-Encoding": "identity"})
    held, waiting, total = [], 0, 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > max_bytes:
                raise BodyTooLarge(f"A body of this kind may have at most {max_bytes} bytes.")
            held.append(chunk)
            waiting += len(chunk)
            if waiting >= _FEED_BYTES:
                if check is not None:
                    await in_thread(check, total)
                await in_thread(feed, b"".join(held))
                held, waiting = [], 0
    except ClientDisconnect:
        raise BodyIncomplete from None
    if held:
        await in_thread(feed, b"".join(held))


async def receive_job_form(
    request: Request, incoming: Incoming, limits: Limits, check: ByteCheck
) -> dict[str, list[bytes]]:
    """Receive a job's form and return its fields. Store its `image` parts in `incoming`."""
    fields = {
        "prompt": Field(
            limits.prompts,
            4 * limits.prompt_length,
            lambda: too_many_prompts(limits, pointer("prompt")),
            lambda: prompt_too_long(limits, pointer("prompt")),
        ),
        "options": Field(
            1,
            OPTIONS_BYTES,
            lambda: Malformed("The field options may be given only once.", pointer=pointer("options")),
            lambda: BodyTooLarge(f"Options may have at most {OPTIONS_BYTES} bytes.", pointer=pointer("options")),
        ),
    }
    content_type = request.headers["content-type"]
    form = Form(content_type, incoming, fields=fields, file_name="image", max_files=limits.items)
    await receive(request, form.feed, limits.body_bytes, check)
    form.close()
    return form.fields


async def receive_files(request: Request, incoming: Incoming, limits: Limits, check: ByteCheck) -> None:
    """Receive a form in which every part is a file, whatever its name."""
    content_type = request.headers["content-type"]
    form = Form(content_type, incoming, fields={}, file_name=None, max_files=limits.items)
    await receive(request, form.feed, limits.body_bytes, check)
    form.close()


async def receive_file(request: Request, incoming: Incoming, limits: Limits, check: ByteCheck) -> None:
    """Receive a body that is one file. Raises NoItems if it is empty."""
    await in_thread(incoming.begin, None)
    await receive(request, incoming.write, limits.body_bytes, check)
    await in_thread(incoming.end)
    if not incoming.uploads[0].size:
        raise NoItems("The body has no bytes.")


async def receive_json(request: Request, limits: Limits) -> bytes:
    """Receive a JSON body and return its bytes."""
    pieces: list[bytes] = []
    await receive(request, pieces.append, min(JSON_BYTES, limits.body_bytes))
    return b"".join(pieces)


def kind_of(request: Request) -> str:
    """Return the body's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
