"""The result tables of a running service, as independent readers find them."""

from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from PIL import Image
from pycocotools import mask as coco
from pydicom.data import get_testdata_file
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


def test_a_segment_names_the_series_of_its_dicom_seg(stack: RunningStack, tmp_path: Path):
    source = Path(str(get_testdata_file("CT_small.dcm")))
    with stack.client() as client:
        job = client.submit([source], ["liver in abdomen CT"], outputs=["seg", "table"])
        assert client.wait(job.id, LONG).state == "succeeded"
        [file] = client.save(job.id, tmp_path)
    store = stack.data / "storage"
    assert eventually((store / "jobs" / job.id / "tabulated.json").exists, within_s=60)
    [row] = pl.read_delta(str(store / "tables/local/segments")).filter(pl.col("run") == job.id).to_dicts()
    assert row["SeriesInstanceUID"] == pydicom.dcmread(file.path).SeriesInstanceUID
    assert row["segmented_SeriesInstanceUID"] == pydicom.dcmread(source).SeriesInstanceUID
    assert row["SegmentedPropertyType_CodeMeaning"] == "Liver"
