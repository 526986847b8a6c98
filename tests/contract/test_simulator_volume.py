"""`--wire volume3d`: MedImageParse 3D's envelope, a NIfTI volume in and a label map out."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.support.servers.simulators import (
    RunningSimulator,
    canvas_png,
    running_simulator,
    score_body,
)

pytestmark = pytest.mark.slow_subject("simulator")

BUNDLED = Path(nibabel.__file__).parent / "tests" / "data"
ANATOMICAL = (BUNDLED / "anatomical.nii").read_bytes()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator(wire="volume3d") as simulator:
        yield simulator


def body_of(*rows: tuple[bytes, str]) -> dict[str, Any]:
    return score_body(*([base64.b64encode(file).decode(), text] for file, text in rows))


def labels_of(answer: Any) -> Any:
    assert [list(row) for row in answer.json()] == [["nifti_file"]]
    inner = json.loads(answer.json()[0]["nifti_file"])
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(inner["data"], validate=True)))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_label_map_has_the_volumes_shape_and_affine(endpoint: RunningSimulator, compressed: bool) -> None:
    file = gzip.compress(ANATOMICAL) if compressed else ANATOMICAL
    labels = labels_of(endpoint.post(body_of((file, "liver & spleen & pancreas"))))
    sent = nibabel.Nifti1Image.from_bytes(ANATOMICAL)
    assert labels.shape == sent.shape
    assert np.array_equal(labels.affine, sent.affine)
    assert labels.get_data_dtype() == np.uint8
    assert np.unique(np.asarray(labels.dataobj)).tolist() == [0, 1, 2, 3]


def test_the_first_prompt_is_the_brightest_band(endpoint: RunningSimulator) -> None:
    labels = np.asarray(labels_of(endpoint.post(body_of((ANATOMICAL, "a & b")))).dataobj)
    voxels = nibabel.Nifti1Image.from_bytes(ANATOMICAL).get_fdata()
    assert voxels[labels == 1].mean() > voxels[labels == 2].mean() > voxels[labels == 0].mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_common_dtypes_and_a_volume_of_one_brightness_are_read(endpoint: RunningSimulator, dtype: type) -> None:
    flat = nibabel.Nifti1Image(np.ones((5, 6, 7), dtype), np.diag([2, 3, 4, 1])).to_bytes()
    labels = labels_of(endpoint.post(body_of((flat, "liver"))))
    assert (labels.shape, np.asarray(labels.dataobj).any()) == ((5, 6, 7), False)


BROKEN: dict[str, dict[str, Any]] = {
    "a picture": body_of((canvas_png(), "liver")),
    "nothing": body_of((b"", "liver")),
    "a header alone": body_of((ANATOMICAL[:352], "liver")),
    "half a volume": body_of((ANATOMICAL[:20_000], "liver")),
    "half a gzip": body_of((gzip.compress(ANATOMICAL)[:5_000], "liver")),
    "four dimensions": body_of(((BUNDLED / "functional.nii").read_bytes(), "liver")),
    "two volumes": body_of((ANATOMICAL, "liver"), (ANATOMICAL, "liver")),
    "no base64": score_body(["%", "liver"]),
    "a null text": score_body([base64.b64encode(ANATOMICAL).decode(), None]),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_volume_fails_the_script(endpoint: RunningSimulator, body: dict[str, Any]) -> None:
    answer = endpoint.post(body)
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, "500")


def test_an_answer_can_hold_no_volume(endpoint: RunningSimulator) -> None:
    endpoint.set(fail={"status": "bad_dtype", "times": 1})
    rows = endpoint.post(body_of((ANATOMICAL, "liver"))).json()
    assert rows == [{"nifti_file": '{"data": ""}'}]
