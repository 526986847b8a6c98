"""A segmentation in readers that know nothing of us: a validator, an archive, two libraries."""

import io
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from tests.support.builders.segmentations import (
    ENHANCED,
    MAKING,
    ODD,
    SOURCES,
    expected_masks,
    headers,
    opened,
    plain_masks,
    random_masks,
    same_masks,
    seg_bytes,
)
from tests.support.checks.system_programs import system_program
from tests.support.servers.orthancs import running_orthanc

#: The file of two frames is of a class that has one: the validator objects to any mention of a second.
CONFORMANT = [name for name in (*SOURCES, *ENHANCED, ODD) if name != "sc-two-frames"]


@pytest.fixture(scope="module")
def dicomweb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DICOMwebClient]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as url:
        client = DICOMwebClient(url)
        yield client
        client._session.close()


def validated(file: Path) -> list[str]:
    """The errors of dciodvfy."""
    program = system_program("dciodvfy", "dicom3tools")
    said = subprocess.run([program, "-new", file], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert "Segmentation" in lines, "the validator did not know the object"
    return [line for line in lines if line.startswith(("Error", "Abort"))]


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize("name", CONFORMANT)
def test_the_validator_finds_no_error(name, foreground, tmp_path):
    objects = headers(name)
    (tmp_path / "seg.dcm").write_bytes(seg_bytes(objects, random_masks(objects) & foreground))
    assert validated(tmp_path / "seg.dcm") == []


def test_the_validator_would_find_an_error(tmp_path):
    broken = opened(seg_bytes(headers("ct"), random_masks(headers("ct"))))
    del broken.SegmentSequence[0].SegmentLabel
    broken.save_as(tmp_path / "seg.dcm")
    assert any("SegmentLabel" in line for line in validated(tmp_path / "seg.dcm"))


@pytest.mark.parametrize("name", ["ct", "ct-series", "mr-series", "us-multiframe", "cr", "ct-enhanced"])
def test_an_archive_stores_it_finds_it_and_gives_back_the_same_pixels(name, dicomweb):
    objects = headers(name)
    masks = random_masks(objects)
    seg = opened(seg_bytes(objects, masks, replace(MAKING, fingerprint=name)))
    stored = dicomweb.store_instances([seg])
    assert not stored.get("FailedSOPSequence")
    assert [item.ReferencedSOPInstanceUID for item in stored.ReferencedSOPSequence] == [seg.SOPInstanceUID]
    [found] = dicomweb.search_for_instances(search_filters={"SOPInstanceUID": seg.SOPInstanceUID})
    place = (seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)
    assert tuple(found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")) == place
    frames = dicomweb.retrieve_instance_frames(
        *place, list(range(1, seg.NumberOfFrames + 1)), media_types=(("application/octet-stream", "*"),)
    )
    assert same_masks(by_frames(seg, frames), expected_masks(objects, masks))
    retrieved = dicomweb.retrieve_instance(*place)
    assert same_masks(plain_masks(retrieved), expected_masks(objects, masks))


def test_an_archive_gives_back_whole_an_object_whose_frames_do_not_end_with_a_byte(dicomweb):
    # Debian's Orthanc answers 400 for single frames of such an object
    objects = headers(ODD)
    masks = random_masks(objects)
    seg = opened(seg_bytes(objects, masks, replace(MAKING, fingerprint=ODD)))
    dicomweb.store_instances([seg])
    retrieved = dicomweb.retrieve_instance(seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)
    assert same_masks(plain_masks(retrieved), expected_masks(objects, masks))


def by_frames(seg: Dataset, frames: list[bytes]) -> dict:
    """The masks that frames sent one by one hold: each begins at a bit of its own."""
    whole = plain_masks(seg)
    size = seg.Rows * seg.Columns
    bits = [np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:size].astype(bool) for frame in frames]
    return {key: one.reshape(seg.Rows, seg.Columns) for key, one in zip(whole, bits, strict=True)}


def test_a_second_run_stores_the_same_object(dicomweb):
    objects = headers("mr")
    file = seg_bytes(objects, random_masks(objects), replace(MAKING, fingerprint="again"))
    for _ in range(2):
        dicomweb.store_instances([opened(file)])
    assert len(dicomweb.search_for_instances(search_filters={"SeriesInstanceUID": opened(file).SeriesInstanceUID})) == 1


def test_two_libraries_read_the_same_masks():
    objects = headers("ct-series")
    masks = random_masks(objects)
    file = seg_bytes(objects, masks)
    seg = hd.seg.segread(io.BytesIO(file))
    read = seg.get_pixels_by_source_instance([header.SOPInstanceUID for header in objects])
    for (segment, instance, _), mask in plain_masks(opened(file)).items():
        place = [header.SOPInstanceUID for header in objects].index(instance)
        assert np.array_equal(read[place, :, :, segment - 1], mask)
