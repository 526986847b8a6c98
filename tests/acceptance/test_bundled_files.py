"""Every file that pydicom and nibabel bring for their tests goes through the service to files of its own or to a code.

`tests/data/bundled_outcomes.json` is the table: by file its item's state or error code, its frames, and files that
could not be made. Whether the pixels themselves are right is judged file by file in `tests/unit/imaging`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import pydicom.data
import pytest

from maskrelay.contract.views.job_views import ItemShown
from tests.support.servers.stacks import RunningStack, running_stack

TABLE = json.loads((Path(__file__).parents[1] / "data" / "bundled_outcomes.json").read_text())
PYDICOM = Path(pydicom.data.__file__).parent
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
#: Volumes of several, which a job has to name one of.
SEVERAL = ("example4d.nii.gz", "functional.nii")
pytestmark = pytest.mark.slow_subject("bundled-files")
EACH_ALONE = {"group_series": False, "partial_series": "best_effort"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("bundled") / "data") as running:
        yield running


def segmented(stack: RunningStack, files: list[Path], options: dict[str, Any]) -> dict[int, ItemShown]:
    """The items by the number of the file they were made of."""
    with stack.client() as client:
        job = client.submit(files, ["liver in abdomen CT"], options=options)
        assert client.wait(job.id).state in {"succeeded", "partial"}
        return {int(item.custom_id): item for item in client.items(job.id)}


def outcome(item: ItemShown | None) -> list[Any]:
    if item is None:
        return ["gone", 1]
    state = item.error.code if item.error and item.state == "failed" else item.state
    return [state, len(item.frames or [item]), *([sorted(item.errors)] if item.errors else [])]


def files_of(item: ItemShown) -> list[str]:
    pictures = item.frames or [item]
    links = [mask.links.mask for picture in pictures for mask in picture.masks]
    links += [item.links.nifti, item.links.seg, item.links.contact_sheet, *(one.links.overlay for one in pictures)]
    return [link for link in links if link]


@pytest.mark.parametrize("library", ["dicom", "nib", "vol"])
def test_every_bundled_file_ends_as_the_table_says(stack: RunningStack, library: str) -> None:
    folder = PYDICOM if library == "dicom" else NIBABEL
    files = sorted(path for path in NIBABEL.iterdir() if path.is_file())
    if library == "dicom":
        files = sorted({Path(name) for name in pydicom.data.get_testdata_files() if Path(name).is_file()})
    if library == "vol":
        files = [path for path in files if path.name in SEVERAL]
    items = segmented(stack, files, {"dicom": EACH_ALONE, "nib": {}, "vol": {"volume": 1}}[library])
    found = {f"{library}:{path.relative_to(folder)}": outcome(items.get(number)) for number, path in enumerate(files)}
    assert found == {name: ends for name, ends in TABLE.items() if name.startswith(f"{library}:")}
    assert all(files_of(item) for item in items.values() if item.state == "succeeded")


def test_no_worker_met_anything_unforeseen(stack: RunningStack) -> None:
    for name in ("segment", "control", "assemble"):
        assert "Traceback" not in stack.log(name)
