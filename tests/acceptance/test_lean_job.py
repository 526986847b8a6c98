"""The same job through a lean and through a stock deployment, with the whole service: every artifact is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from skimage import data

from maskrelay.endpoints import Wire
from tests.support.builders.dicoms import dicom_of
from tests.support.builders.pictures import saved
from tests.support.builders.volumes import written
from tests.support.checks.faults_check import LONG
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.stacks import running_stack

PROMPTS = ["liver in abdomen CT", "optic disc in retinal fundus"]
OUTPUTS = ["mask", "overlay", "probability", "nifti", "seg", "contact-sheet", "geojson", "preview"]
#: What states times, or has identifiers of its own.
PROVENANCE = {"manifest.json"}


def sources(folder: Path) -> list[Path]:
    """A colour photograph, a gray one, a DICOM image and a volume."""
    folder.mkdir()
    photograph = Image.fromarray(data.retina()[::3, ::3])
    (folder / "colour.png").write_bytes(saved(photograph, "PNG"))
    (folder / "gray.png").write_bytes(saved(photograph.convert("L"), "PNG"))
    gray = np.asarray(photograph.convert("L")).astype(np.int16)
    (folder / "image.dcm").write_bytes(dicom_of(gray))
    volume = np.stack([np.roll(gray, 9 * number, axis=0)[::4, ::4] for number in range(3)], axis=2)
    written(folder, volume).rename(folder / "volume.nii")
    return sorted(folder.iterdir())


def artifacts_of(files: list[Path], folder: Path, simulator: RunningSimulator, wire: Wire) -> dict[str, Any]:
    """Run the job at this endpoint. Return the content of every artifact by its name."""
    endpoint = {"endpoint_url": simulator.url, "endpoint_key": simulator.key, "endpoint_wire": wire}
    with running_stack(folder / "data", **endpoint) as stack, stack.client() as client:
        client.submit(files[:1], PROMPTS, wait_s=30)  # the first frame asks what the deployment offers
        job = client.submit(files, PROMPTS, outputs=OUTPUTS)
        assert client.wait(job.id, LONG).state == "succeeded"
        client.save(job.id, folder / "out")
    found = [path for path in (folder / "out").rglob("*") if path.is_file() and path.name not in PROVENANCE]
    return {str(path.relative_to(folder / "out")): content_of(path) for path in found}


def content_of(path: Path) -> Any:
    """The bytes of a file, and of a SEG its segments and pixels: its identifiers and times are new for each job."""
    if path.suffix != ".dcm":
        return path.read_bytes()
    dataset = pydicom.dcmread(path)
    return [segment.SegmentLabel for segment in dataset.SegmentSequence], dataset.PixelData


def test_a_job_has_the_same_artifacts_whichever_deployment_scores_it(tmp_path: Path) -> None:
    files = sources(tmp_path / "sources")
    with running_simulator() as stock, running_simulator(lean=LEAN_SCRIPT) as lean:
        expected = artifacts_of(files, tmp_path / "stock", stock, "image2d")
        found = artifacts_of(files, tmp_path / "lean", lean, "lean2d")
        counted = {name: simulator.counters() for name, simulator in (("stock", stock), ("lean", lean))}
    assert {Path(name).suffix for name in expected} >= {".png", ".gz", ".dcm", ".geojson"}
    assert any("probability" in name for name in expected)
    assert found == expected
    assert 5 * counted["lean"]["bytes_out"] < counted["stock"]["bytes_out"]
