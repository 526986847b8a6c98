"""Render a job with its items and saved files, as text for people or as JSON for programs."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from maskrelay.client.download import SavedFile
from maskrelay.client.progress import describe
from maskrelay.client.responses import pictures
from maskrelay.client.table import table
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import ItemShown, JobShown
from maskrelay.contract.vocabulary.trained_targets import PromptWarning

_HEAD = ("item", "source", "frame", "prompt", "category", "area px", "remarks")


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


def as_text(job: JobShown, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> str:
    """Return a line about the job, a table of its masks, and the next steps."""
    lines = [f"job {job.id}", describe(job)]
    if job.error is not None:
        lines.append(f"{job.error.code}: {job.error.detail}")
    if job.callback is not None and job.callback.secret is not None:
        lines.append(f"callback secret {job.callback.secret} (shown only now)")
    lines += [_warning(warning) for warning in job.warnings]
    rows = [row for item in items for row in _rows(item)]
    if rows:
        lines += ["", _without_empty_columns(rows), ""]
    if saved:
        folder = os.path.commonpath([file.path.parent for file in saved])
        lines += ["manifest.json describes each file", f"{len(saved)} files in {folder}"]
    elif job.state not in TERMINAL:
        lines.append(f"next: maskrelay wait {job.id} --save FOLDER")
    elif rows:
        lines.append(f"next: maskrelay fetch {job.id} FOLDER")
    return "\n".join(lines)


def _warning(warning: PromptWarning) -> str:
    """Return the text of a warning.

    A prompt on which the model was not trained still gets a mask, so users should be warned.
    """
    nearest = f"; did you mean “{warning.nearest}”?" if warning.nearest else ""
    return f"warning: {warning.code}: the model was not trained on “{warning.prompt}”{nearest}"


def _rows(item: ItemShown) -> Iterator[tuple[object, ...]]:
    """Yield a row for each mask, and a row for each item or frame without masks."""
    for number, picture in pictures(item):
        begin = (item.custom_id, item.source_name, number)
        for mask in picture.masks:
            remarks = [*(["empty"] if mask.empty else []), *mask.flags]
            yield (*begin, mask.prompt, mask.category, mask.area_px, ", ".join(remarks))
        if not picture.masks:
            error = picture.error
            yield (*begin, None, None, None, f"{error.code}: {error.detail}" if error else picture.state)


def _without_empty_columns(rows: Sequence[tuple[object, ...]]) -> str:
    kept = [n for n in range(len(_HEAD)) if any(row[n] not in {None, ""} for row in rows)]
    return table([_HEAD[n] for n in kept], [[row[n] for n in kept] for row in rows])
