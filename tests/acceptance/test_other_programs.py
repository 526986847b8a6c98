"""The page about other programs: its programs run on what the service has made of a CT series."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image

from tests.support.builders.phantoms import Raster, ball, series, union, voxels
from tests.support.servers.orthancs import running_orthanc
from tests.support.servers.stacks import RunningStack

pytestmark = pytest.mark.slow_subject("other-programs")
PAGE = Path(__file__).resolve().parents[2] / "docs/howto/other-programs.md"
PROMPTS = ["liver in abdomen CT", "spleen in abdomen CT"]
SHAPES = union(ball((-22, -8, 0), 20), ball((33, -5, 0), 12))


def raster() -> Raster:
    x, y = np.array([1.0, 0, 0]), np.array([0.0, 1, 0])
    return Raster(np.array([-63.0, -63.0, -20.0]), x, y, (1.0, 1.0, 5.0), (128, 128, 9))


def program(containing: str) -> str:
    """The program of the page that contains these words."""
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks if containing in text]
    return found


@pytest.fixture(scope="module")
def folder(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the series and the saved masks."""
    made = tmp_path_factory.mktemp("segmented")
    (made / "series").mkdir()
    for number, file in enumerate(series(raster(), voxels(raster(), SHAPES), np.arange(9))):
        (made / "series" / f"{number}.dcm").write_bytes(file)
    with stack.client() as client:
        files = sorted((made / "series").iterdir())
        job = client.wait(client.submit(files, PROMPTS, outputs=["seg", "nifti"]).id)
        assert job.state == "succeeded"
        client.save(job.id, made / "masks")
    return made


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DICOMwebClient]:
    with running_orthanc(tmp_path) as url:
        monkeypatch.setenv("DICOMWEB_URL", url)
        client = DICOMwebClient(url)
        yield client
        client._session.close()


def test_the_segments_are_drawn_over_slices_and_both_files_have_the_same_voxels(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(program("highdicom"), {})
    of_seg = capsys.readouterr().out.splitlines()
    exec(program("nibabel"), {})
    of_nifti = capsys.readouterr().out.splitlines()
    found = [(line.rsplit(" ", 2)[0], int(line.split()[-2])) for line in of_nifti]
    whole = [(line.rsplit(" ", 2)[0].partition(" ")[2], int(line.split()[-2])) for line in of_seg]
    assert [prompt for prompt, _ in found] == [prompt for prompt, _ in whole] == PROMPTS
    shared = [of_both - of_one for (_, of_both), (_, of_one) in zip(whole, found, strict=True)]
    assert all(0 <= some < of_one / 5 for some, (_, of_one) in zip(shared, found, strict=True))  # the segments overlap
    with Image.open("segmentation.png") as drawn:
        colours = np.asarray(drawn.convert("HSV"))
        assert drawn.size == (3 * 128, 128)
    assert (colours[..., 1] > 60).any()


def test_the_archive_has_the_segmentation_in_the_study_of_its_series(
    folder: Path, archive: DICOMwebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    archive.store_instances([pydicom.dcmread(path) for path in (folder / "series").iterdir()])
    for _ in range(2):
        exec(program("DICOMwebClient"), {})
    (study,) = archive.search_for_studies()
    found = archive.search_for_series(study["0020000D"]["Value"][0])
    assert sorted(one["00080060"]["Value"][0] for one in found) == ["CT", "SEG"]
    assert len(archive.search_for_instances()) == 10
