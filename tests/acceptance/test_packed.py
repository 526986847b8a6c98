"""A bulk job's files lie many in one object; whoever fetches them sees no difference."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from maskrelay.client import Client
from maskrelay.contract.records.job import Lane
from tests.support.checks.faults_check import LONG
from tests.support.servers.stacks import RunningStack

PROMPTS = ["optic disc in retinal fundus", "optic cup in retinal fundus"]
LANES: tuple[Lane, ...] = ("interactive", "bulk")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three pictures of three sizes, each with masks of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    retina = Image.fromarray(data.retina()).reduce(4)
    turned = {
        "upright": retina,
        "left": retina.transpose(Image.Transpose.ROTATE_90),
        "cut": retina.crop((0, 9, 300, 340)),
    }
    for name, picture in turned.items():
        picture.save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in turned]


def saved_by(client: Client, pictures: list[Path], lane: Lane, folder: Path) -> tuple[str, dict[str, bytes]]:
    job = client.submit(pictures, PROMPTS, lane=lane, outputs=["mask", "overlay", "probability"])
    assert client.wait(job.id, LONG).state == "succeeded"
    client.save(job.id, folder)
    return job.id, {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".png"}


def objects(stack: RunningStack, job: str, folder: str) -> list[Path]:
    return [path for path in (stack.data / "storage" / "jobs" / job / folder).rglob("*") if path.is_file()]


def test_a_bulk_job_gives_the_same_files_from_packs(stack: RunningStack, tmp_path: Path, pictures: list[Path]) -> None:
    with stack.client() as client:
        loose, packed = (saved_by(client, pictures, lane, tmp_path / lane) for lane in LANES)
        assert len(objects(stack, loose[0], "artifacts")) == len(pictures) * (2 * len(PROMPTS) + 1)
        assert not objects(stack, loose[0], "packs")
        assert not objects(stack, packed[0], "artifacts")
        assert 1 <= len(objects(stack, packed[0], "packs")) <= len(pictures)
    assert loose[1] == packed[1]
    masks = [name for name in packed[1] if name.endswith(".mask.png")]
    assert len(masks) == len(pictures) * len(PROMPTS)
    for name in masks:
        assert np.asarray(Image.open(tmp_path / "bulk" / name)).any(), name
