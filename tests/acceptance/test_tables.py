"""The result tables of a running service, as independent readers find them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pycocotools import mask as coco
from skimage import data

from tests.support.builders.pictures import saved
from tests.support.checks.faults_check import LONG
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import RunningStack

DISC = "optic disc in retinal fundus"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_the_masks_of_a_job_are_rows_of_a_delta_table(stack: RunningStack, tmp_path: Path):
    picture = tmp_path / "retina.png"
    picture.write_bytes(saved(Image.fromarray(data.retina()), "PNG"))
    with stack.client() as client:
        job = client.submit([picture], [DISC], outputs=["mask", "table"])
        assert client.wait(job.id, LONG).state == "succeeded"
        files = client.save(job.id, tmp_path / "out")
    store = stack.data / "storage"
    tables = store / "tables" / "local"
    assert eventually((store / "jobs" / job.id / "tabulated.json").exists, within_s=60)
    [row] = pl.read_delta(str(tables / "masks")).filter(pl.col("run") == job.id).to_dicts()
    pixels = coco.decode({"size": [row["height"], row["width"]], "counts": row["rle_counts"]})
    [mask] = (file.path for file in files)
    assert np.array_equal(pixels > 0, np.asarray(Image.open(mask)) > 0)
    assert (row["prompt"], row["area_px"], row["final"]) == (DISC, int(pixels.sum()), True)
    [run] = pl.read_delta(str(tables / "runs")).filter(pl.col("run") == job.id).to_dicts()
    assert (run["state"], run["tenant"], run["frames_succeeded"]) == ("succeeded", "local", 1)
