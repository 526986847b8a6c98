"""A patient's medium as a zip: its images become items, and everything else is listed as ignored."""

from pathlib import Path

import httpx
import numpy as np
import pydicom.data

from tests.support.builders.dicoms import ROOT, dataset_of, dicom_of
from tests.support.builders.dicoms import saved as saved_dicom
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.servers.stacks import RunningStack

GEOMETRY = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.8, 0.8], "SliceThickness": 2}
DIRECTORY = (Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / "DICOMDIR").read_bytes()


def slice_of(number: int) -> bytes:
    pixels = (np.arange(40 * 48, dtype=np.uint16).reshape(40, 48) + number) % 1200
    return dicom_of(
        pixels,
        SOPInstanceUID=f"{ROOT}1.{number}",
        ImagePositionPatient=[0, 0, 2 * number],
        InstanceNumber=number,
        **GEOMETRY,
    )


def without_pixels(sop_class: str, modality: str) -> bytes:
    dataset = dataset_of(np.zeros((1, 1), np.uint8), SOPClassUID=sop_class, Modality=modality)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"):
        delattr(dataset, keyword)
    return saved_dicom(dataset)


def medium() -> list[tuple[str, bytes]]:
    segmentation = dicom_of(
        np.ones((40, 48), np.uint8),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4",
        Modality="SEG",
        SeriesInstanceUID=ROOT + "7",
    )
    return [
        ("DICOMDIR", DIRECTORY),
        *((f"DICOM/ST0/SE0/IM{number}", slice_of(number)) for number in range(3)),
        ("DICOM/ST0/SE1/IM0", segmentation),
        ("DICOM/ST0/SR", without_pixels("1.2.840.10008.5.1.4.1.1.88.11", "SR")),
        ("DICOM/ST0/RS", without_pixels("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")),
        ("DICOM/__MACOSX/._IM0", b"\0\5\x16\7" + bytes(50)),
        ("DICOM/Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(600)),
        ("viewer/viewer.jar", a_zip(("a.class", b"x"))),
        ("viewer/logo.bmp", saved(gradient(), "BMP")),
        ("README.txt", b"hello"),
        ("empty.log", b""),
    ]


def test_only_the_images_of_a_medium_are_items_and_the_rest_is_listed(stack: RunningStack) -> None:
    with stack.client() as client:
        job = client.submit([a_zip(*medium())], ["liver in abdomen CT"])
        assert client.wait(job.id).state == "succeeded"
        [item] = client.items(job.id)
    assert item.source_name == "DICOM/ST0/SE0/IM0"
    assert len(item.frames or []) == 3
    answer = httpx.get(job.links.items, headers={"authorization": f"Bearer {stack.api_key}"}, trust_env=False)
    body = answer.json()
    reasons = {one["source_name"]: one["reason"]["code"] for one in body["ignored"]}
    assert reasons == {
        "DICOMDIR": "directory_file",
        "DICOM/ST0/SE1/IM0": "not_a_picture",
        "DICOM/ST0/SR": "no_pixels",
        "DICOM/ST0/RS": "no_pixels",
        "DICOM/__MACOSX/._IM0": "hidden_file",
        "DICOM/Thumbs.db": "not_an_image",
        "viewer/viewer.jar": "archive_nested",
        "viewer/logo.bmp": "viewer_picture",
        "README.txt": "not_an_image",
        "empty.log": "zero_sized",
    }
    assert {one["custom_id"] for one in body["ignored"]} == {item.custom_id}


def test_a_damaged_picture_in_a_zip_is_an_item_and_its_neighbours_go_on(stack: RunningStack) -> None:
    good = saved(gradient(), "PNG")
    files = [
        ("a/good.png", good),
        ("a/cut.png", good[: len(good) // 2]),
        ("a/empty.png", b""),
        ("a/none.png", b"no picture"),
    ]
    with stack.client() as client:
        job = client.submit([a_zip(*files)], ["liver in abdomen CT"])
        assert client.wait(job.id).state == "partial"
        found = {item.source_name: item.error.code if item.error else item.state for item in client.items(job.id)}
    assert found == {
        "a/good.png": "succeeded",
        "a/cut.png": "truncated",
        "a/empty.png": "zero_sized",
        "a/none.png": "not_an_image",
    }


def test_a_segmentation_alone_is_refused_by_name(stack: RunningStack) -> None:
    with stack.client() as client:
        job = client.submit([dict(medium())["DICOM/ST0/SE1/IM0"]], ["liver in abdomen CT"])
        assert client.wait(job.id).state == "failed"
        [item] = client.items(job.id)
    assert item.error is not None
    assert item.error.code == "not_a_picture"
