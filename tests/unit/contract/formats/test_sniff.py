"""The kind of a source by its first bytes: real files of the libraries, and every signature in a table."""

import struct
from pathlib import Path

import nibabel
import pydicom
import pytest

from maskrelay.contract.formats.sniff import HEAD_BYTES, kind_of

PYDICOM = Path(pydicom.__file__).parent / "data"
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
#: Bundled .dcm files that are none at their first byte: one stray blank comes before it.
NOT_DICOM = {"no_meta.dcm"}


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def nifti(size: int, order: str, magic: bytes, at: int) -> bytes:
    head = bytearray(600)
    head[:4] = struct.pack(f"{order}i", size)
    head[at : at + len(magic)] = magic
    return bytes(head)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (bytes(128) + b"DICM", "dicom"),
        (b"II*\0" + bytes(124) + b"DICM", "dicom"),
        (b"\x02\x00\x00\x00UL\x04\x00", "dicom"),
        (b"\x02\x00\x10\x00UI\x14\x00", "dicom"),
        (b"\x08\x00\x05\x00CS\x0a\x00", "dicom"),
        (b"\x08\x00\x16\x00UI\x1a\x00", "dicom"),
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100", "dicom"),
        (b"\x08\x00\x00\x00\x04\x00\x00\x00\x10\x00\x00\x00", "dicom"),
        (b"\x00\x08\x00\x05CS\x00\x0a", "dicom"),
        (b"\x08\x00\x05\x00\x0b\x00\x00\x00", "still"),
        (b"\x08\x00\x05\x00\xff\xff\xff\xff", "still"),
        (b"\x08\x00\x90\x00UI\x14\x00", "still"),
        (b"\x10\x00\x10\x00PN\x14\x00", "still"),
        (b"\x08\x00\x05\x00CS", "still"),
        (nifti(348, "<", b"n+1\0", 344), "nifti"),
        (nifti(348, ">", b"n+1\0", 344), "nifti"),
        (nifti(348, "<", b"ni1\0", 344), "nifti"),
        (nifti(540, "<", b"n+2\0\r\n\x1a\n", 4), "nifti"),
        (nifti(540, ">", b"n+2\0\r\n\x1a\n", 4), "nifti"),
        (nifti(540, ">", b"ni2\0\r\n\x1a\n", 4), "nifti"),
        (nifti(540, "<", b"n+2\0\n\n\x1a\n", 4), "still"),
        (nifti(348, "<", b"", 344), "still"),
        (nifti(349, "<", b"n+1\0", 344), "still"),
        (nifti(348, "<", b"n+1\0", 344)[:200], "nifti"),  # cut inside the header, before the magic number
        (nifti(540, ">", b"n+2\0\r\n\x1a\n", 4)[:6], "nifti"),
        (b"\x1f\x8b\x08\x00", "nifti"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"PK\x07\x08", "still"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"II+\0", "tiff"),
        (b"MM\0+", "tiff"),
        (b"II\0*", "still"),
        (b"\x89PNG\r\n\x1a\n", "still"),
        (b"\xff\xd8\xff\xe0", "still"),
        (b"BM", "still"),
        (b"", "still"),
    ],
)
def test_the_first_bytes_tell_the_kind(head, kind):
    assert kind_of(head) == kind


@pytest.mark.parametrize("path", sorted(PYDICOM.rglob("*.dcm")), ids=lambda path: path.name)
def test_every_bundled_dicom_file_is_told_by_its_first_bytes(path):
    assert kind_of(head_of(path)) == ("still" if path.name in NOT_DICOM else "dicom")


def test_files_of_a_dicomdir_and_the_directory_itself_are_dicom():
    folder = PYDICOM / "test_files" / "dicomdirtests"
    found = [path for path in folder.rglob("*") if path.is_file() and "README" not in path.name]
    assert len(found) > 80
    assert {kind_of(head_of(path)) for path in found} == {"dicom"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("anatomical.nii", "nifti"),
        ("functional.nii", "nifti"),
        ("example4d.nii.gz", "nifti"),
        ("example_nifti2.nii.gz", "nifti"),
        ("row_major.dconn.nii", "nifti"),
        ("nifti1.hdr", "nifti"),
        ("nifti2.hdr", "nifti"),
        ("analyze.hdr", "still"),
        ("T1.PAR", "still"),
        ("small.mnc", "still"),
    ],
)
def test_bundled_volumes_are_told_by_their_first_bytes(name, kind):
    assert kind_of(head_of(NIBABEL / name)) == kind
