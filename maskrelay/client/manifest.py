"""Write `manifest.json` next to the saved files. It describes each file, and contains the result of each item."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from maskrelay.client.artifact_body import open_to_all
from maskrelay.client.download import SavedFile
from maskrelay.client.responses import pictures
from maskrelay.contract.views.job_views import ItemShown

_NAME = "manifest.json"
_NOTICE = "For research use only, not for clinical use."


def write_manifest(folder: Path, job: str, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> Path:
    """Write the manifest atomically, and return its path.

    If the folder already contains another file with the name `manifest.json`, such as the manifest of another job, that
    file is kept. The name of the new manifest then contains the job's id.
    """
    _write_label_names(items, saved)
    path = folder / _NAME
    if os.path.lexists(path) and _job_of(path) != job:
        path = folder / f"manifest-{job}.json"
    _write(path, _manifest(folder, job, items, saved))
    return path


def _write(path: Path, document: Any) -> None:
    """Write a JSON document atomically."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            json.dump(document, written, indent=2, ensure_ascii=False)
            written.write("\n")
        open_to_all(name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _write_label_names(items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> None:
    """Write a file such as `ct.labels.json` next to each label volume, with the prompt of each value.

    A file that is already there is kept.
    """
    by_id = {item.custom_id: item for item in items}
    for file in saved:
        path = file.path.with_name(file.path.name.removesuffix(".nii.gz") + ".json")
        if file.output == "nifti" and not os.path.lexists(path):
            masks = next((picture.masks for _, picture in pictures(by_id[file.custom_id]) if picture.masks), [])
            _write(path, {"labels": {str(number): mask.prompt for number, mask in enumerate(masks, 1)}})


def _job_of(path: Path) -> str | None:
    """Return the id of the job to which the manifest belongs, or None if the file is not a manifest."""
    try:
        found: str | None = json.loads(path.read_bytes())["job"]["id"]
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return None
    return found


def _manifest(folder: Path, job: str, items: Sequence[ItemShown], saved: Sequence[SavedFile]) -> dict[str, Any]:
    by_id = {item.custom_id: item for item in items}
    return {
        "notice": _NOTICE,
        "job": {"id": job},
        "files": [_file(folder, file, by_id[file.custom_id]) for file in saved],
        "items": [_item(item) for item in items],
    }


def _file(folder: Path, file: SavedFile, item: ItemShown) -> dict[str, Any]:
    about: dict[str, Any] = {
        "path": file.path.relative_to(folder).as_posix(),
        "output": file.output,
        "custom_id": file.custom_id,
        "source_name": file.source_name,
        "frame": file.frame,
        "instance": file.instance,
        "prompt": file.prompt,
    }
    measures = _measures(item, file)
    return {**{name: value for name, value in about.items() if value is not None}, **measures}


def _measures(item: ItemShown, file: SavedFile) -> dict[str, Any]:
    for number, picture in pictures(item):
        for mask in picture.masks:
            if number == file.frame and mask.prompt == file.prompt:
                return {"measures": mask.model_dump(mode="json", exclude={"prompt", "links"}, exclude_none=True)}
    return {}


def _item(item: ItemShown) -> dict[str, Any]:
    """Return the result of an item with the errors of its failed frames."""
    about = item.model_dump(mode="json", exclude={"masks", "frames", "links"}, exclude_none=True)
    failed = list(_failed(item))
    return {**about, **({"failed_frames": failed} if failed else {})}


def _failed(item: ItemShown) -> Iterator[dict[str, Any]]:
    for frame in item.frames or ():
        if frame.error is not None:
            yield frame.model_dump(
                mode="json", include={"frame", "source_name", "instance", "error"}, exclude_none=True
            )
