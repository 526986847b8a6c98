"""Render a job with its items and saved files: for people, for programs, and for programs that read text."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from maskrelay.client.download import SavedFile
from maskrelay.client.progress import describe
from maskrelay.client.responses import pictures
from maskrelay.client.table import printable, table
from maskrelay.contract.csv_cells import plain_cell
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import FrameShown, ItemShown, JobShown
from maskrelay.contract.vocabulary.trained_targets import PromptWarning

#: The most rows of masks and of failures that people are shown. Of more, they get a summary.
_MOST_ROWS = 40
_HEAD = ("item", "source", "frame", "prompt", "category", "area px", "remarks")
_CSV_HEAD = (
    "custom_id", "source_name", "frame", "prompt", "category", "area_px", "mean_probability", "empty", "flags",
    "state", "error_code", "error_detail", "file",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    """A mask, or an item or a frame without masks."""

    custom_id: str
    source_name: str | None
    frame: int | None
    state: str
    prompt: str | None = None
    category: str | None = None
    area_px: int | None = None
    mean_probability: float | None = None
    empty: bool | None = None
    flags: tuple[str, ...] = ()
    error_code: str | None = None
    error_detail: str | None = None

    @property
    def remarks(self) -> str:
        if self.error_code:
            return f"{self.error_code}: {self.error_detail}"
        return ", ".join([*(["empty"] if self.empty else []), *self.flags]) if self.prompt else self.state


def as_json(job: JobShown, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> str:
    """Return `{"job", "items", "files"}` as JSON.

    The paths of the files are relative if the folder's path is relative.
    """
    files = [{**asdict(file), "path": str(file.path)} for file in saved]
    shown = {
        "job": job.model_dump(mode="json", exclude_none=True),
        "items": [item.model_dump(mode="json", exclude_none=True) for item in items],
        "files": files,
    }
    return json.dumps(shown, indent=2, ensure_ascii=False)


def as_csv(_job: JobShown, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> str:
    """Return one row for each mask, and one for each item or frame without masks."""
    paths = {(file.custom_id, file.frame, file.prompt): file.path for file in saved if file.output == "mask"}
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for row in _rows_of(items):
        flags, file = " ".join(row.flags), paths.get((row.custom_id, row.frame, row.prompt))
        measures = (row.category, row.area_px, row.mean_probability, row.empty, flags)
        error = (row.error_code, row.error_detail)
        cells = (row.custom_id, row.source_name, row.frame, row.prompt, *measures, row.state, *error, file)
        writer.writerow([plain_cell(cell) for cell in cells])
    return written.getvalue().removesuffix("\n")


def as_agent(job: JobShown, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> str:
    """Return everything as plain lines: `name: value`, then tables with tabs. Nothing is left out or cut."""
    counts, frames = job.counts, job.frames
    items_by_state = f"{counts.succeeded} succeeded, {counts.partial} partial, {counts.failed} failed"
    lines = [
        f"job: {job.id}",
        f"state: {job.state}",
        f"items: {counts.total} total, {items_by_state}, {counts.cancelled} cancelled",
        f"frames: {frames.planned} planned, {frames.succeeded} succeeded, {frames.failed} failed",
    ]
    if job.error is not None:
        lines.append(f"error: {job.error.code}: {job.error.detail}")
    lines += [_warning(warning) for warning in job.warnings]
    for title, rows in (("masks", _masks(items)), ("failures", _failures(items))):
        if rows:
            lines += [f"{title}:", *("\t".join(map(printable, row)) for row in (_HEAD, *map(_cells, rows)))]
    if saved:
        lines += ["files:", *(printable(file.path) for file in saved)]
    return "\n".join([*lines, *_next_steps(job, saved, items)])


def as_text(job: JobShown, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> str:
    """Return a line about the job, its masks or a summary of them, the failures by file, and the next steps."""
    lines = [f"job {job.id}", describe(job)]
    if job.error is not None:
        lines.append(f"{job.error.code}: {job.error.detail}")
    if job.callback is not None and job.callback.secret is not None:
        lines.append(f"callback secret {job.callback.secret} (shown only now)")
    lines += [_warning(warning) for warning in job.warnings]
    rows = list(_rows_of(items))
    if 0 < len(rows) <= _MOST_ROWS:
        lines += ["", _without_empty_columns([_cells(row) for row in rows]), ""]
    elif rows:
        lines += ["", _summary(_masks(items)), *_named_failures(_failures(items)), ""]
    if saved:
        folder = os.path.commonpath([file.path.parent for file in saved])
        lines += ["manifest.json describes each file", f"{len(saved)} files in {folder}"]
    return "\n".join([*lines, *_next_steps(job, saved, items)])


def _next_steps(job: JobShown, saved: Sequence[SavedFile], items: Sequence[ItemShown]) -> list[str]:
    if saved:
        return []
    if job.state not in TERMINAL:
        return [f"next: maskrelay wait {job.id} --save FOLDER"]
    return [f"next: maskrelay fetch {job.id} FOLDER"] if items else []


def _warning(warning: PromptWarning) -> str:
    """Return the text of a warning.

    A prompt on which the model was not trained still gets a mask, so users should be warned.
    """
    nearest = f"; did you mean “{warning.nearest}”?" if warning.nearest else ""
    return f"warning: {warning.code}: the model was not trained on “{warning.prompt}”{nearest}"


def _rows_of(items: Sequence[ItemShown]) -> Iterator[_Row]:
    """Yield a row for each mask, and a row for each item or frame without masks."""
    for item in items:
        for number, picture in pictures(item):
            begin = (item.custom_id, picture.source_name or item.source_name, number, picture.state)
            for mask in picture.masks:
                measures = (mask.area_px, mask.mean_probability, mask.empty, tuple(mask.flags))
                yield _Row(*begin, mask.prompt, mask.category, *measures)
            if not picture.masks:
                yield _without_mask(item, number, picture)
        if item.frames == []:
            yield _without_mask(item, None, item)


def _without_mask(item: ItemShown, number: int | None, picture: ItemShown | FrameShown) -> _Row:
    name, error = picture.source_name or item.source_name, picture.error
    code, detail = (error.code, error.detail) if error is not None else (None, None)
    return _Row(item.custom_id, name, number, picture.state, error_code=code, error_detail=detail)


def _masks(items: Sequence[ItemShown]) -> list[_Row]:
    return [row for row in _rows_of(items) if row.prompt is not None]


def _failures(items: Sequence[ItemShown]) -> list[_Row]:
    return [row for row in _rows_of(items) if row.prompt is None]


def _cells(row: _Row) -> tuple[object, ...]:
    return row.custom_id, row.source_name, row.frame, row.prompt, row.category, row.area_px, row.remarks


def _summary(masks: Sequence[_Row]) -> str:
    """Return a table with one row for each prompt."""
    prompts: dict[str | None, list[_Row]] = {}
    for row in masks:
        prompts.setdefault(row.prompt, []).append(row)
    rows = [
        (prompt, len(found), sum(bool(row.empty) for row in found), sum(bool(row.flags) for row in found))
        for prompt, found in prompts.items()
    ]
    return table(("prompt", "masks", "empty", "with flags"), rows)


def _named_failures(failures: Sequence[_Row]) -> list[str]:
    """Return the failures by file, or the first of them and the number of the others."""
    if not failures:
        return []
    rows = [(row.source_name or row.custom_id, row.frame, row.remarks) for row in failures]
    lines = ["", f"{len(rows)} without a mask:", table(("source", "frame", "reason"), rows[:_MOST_ROWS])]
    if len(rows) > _MOST_ROWS:
        codes = Counter(row.error_code or row.state for row in failures)
        counted = ", ".join(f"{count} {code}" for code, count in codes.most_common())
        lines.append(f"and {len(rows) - _MOST_ROWS} more (in all: {counted}); --csv lists them all")
    return lines


def _without_empty_columns(rows: Sequence[tuple[object, ...]]) -> str:
    kept = [n for n in range(len(_HEAD)) if any(row[n] not in {None, ""} for row in rows)]
    return table([_HEAD[n] for n in kept], [[row[n] for n in kept] for row in rows])
