"""The records of a run, which is a job whose items are submitted as lines: its chunks and its rejected lines."""

from typing import Literal

from maskrelay.contract.record import Amount, Number, Record
from maskrelay.contract.records.source_pins import Pin

ManifestFormat = Literal["ndjson", "csv", "parquet"]


class Expansion(Record):
    """The numbers of a run's lines, which are known when all of them have been read."""

    #: The number of lines that stand for an item, including the rejected lines.
    lines: Amount
    #: The number of accepted lines, each of which is a submitted item.
    items: Amount
    rejected: Amount
    chunks: Amount


class LineSource(Record):
    """A manifest or a listing, from which the plan stage reads the lines of a run."""

    #: The URL of the manifest, or the pattern of the listing.
    url: str
    #: The name of the credential.
    credential: str
    #: The format of the manifest. None for a listing.
    format: ManifestFormat | None = None
    #: The prompts of the lines without their own.
    prompts: tuple[str, ...] = ()
    max_rejected_share: float = 0.0
    #: The limits of a line when the run was accepted: the number of its prompts, and the characters of each.
    most_prompts: Amount
    prompt_length: Amount
    #: The largest number of items, which is the tenant's quota of frames when the run was accepted.
    most_items: Amount


class Run(Record):
    """What a submission says about its lines."""

    #: The prefix of the keys of the run's chunks and rejected lines.
    chunks: str
    #: None if the lines are read by the plan stage.
    expansion: Expansion | None = None
    #: Where the plan stage reads the lines. None if they were the body of the request.
    lines_from: LineSource | None = None


class ChunkHead(Record):
    """The first line of a chunk. The submitted items of the chunk follow it, one per line."""

    #: The number of submitted items in all earlier chunks.
    first: Amount
    #: The numbers of lines up to the end of this chunk.
    lines: Amount
    rejected: Amount
    last: bool = False
    #: The place in the manifest or the listing after this chunk. None if the lines were the body of the request.
    after: str | None = None
    #: The version of the manifest that is read.
    pin: Pin | None = None


class RejectedLine(Record):
    """A line of a run that did not become an item, and the reason."""

    #: The number of the line, counted from 1.
    line: Amount
    code: str
    detail: str
    #: The JSON pointer to the part of the line that `detail` is about.
    pointer: str | None = None


class DryRunCounts(Record):
    """What a dry run has counted so far."""

    #: The number of parts of the plan that were counted.
    parts: Amount = 0
    items: Amount = 0
    #: The number of items that cannot be segmented.
    failed: Amount = 0
    frames: Amount = 0
    scores: Amount = 0
    bytes_to_read: Amount = 0


class Forecast(Record):
    """`forecast.json`: what a run would do, as a dry run has found it."""

    #: The number of items, including those that cannot be segmented.
    items: Amount
    #: The number of items that cannot be segmented.
    failed: Amount
    #: The number of frames to segment.
    frames: Amount
    #: The number of rejected lines.
    rejected: Amount
    #: The number of bytes of the sources of these frames.
    bytes_to_read: Amount
    #: The number of requests to the model, if no earlier answer can be used.
    scores: Amount
    #: The time that the scores take, or None if no score has been measured yet.
    seconds: float | None = None
    #: The price of the endpoints for this time, or None if it is unknown.
    cost: float | None = None
    #: The number of endpoints that may be used.
    endpoints: Amount = 0
    #: The measured capacity of these endpoints together.
    scores_per_second: float | None = None
    #: The price of an endpoint per hour, as the operator has configured it.
    price_per_hour: float | None = None


class ChunkStart(Record):
    """The numbers of the first item and the first frame that the plan makes from a chunk of a run."""

    chunk: Amount
    item: Number
    frame: Number
