"""A NIfTI header that ends too early."""

import gzip

import nibabel
import numpy as np
import pytest

from maskrelay.contract.formats.nifti_header import read_header
from maskrelay.contract.formats.sniff import kind_of
from maskrelay.errors import NotAnImage, Truncated


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("length", [8, 100, 300, 347])
def test_a_file_that_is_cut_inside_its_header_is_truncated(version: type, length: int) -> None:
    file = version(np.zeros((4, 5, 6), np.uint8), np.eye(4)).to_bytes()
    assert kind_of(file[:length]) == "nifti"
    assert kind_of(gzip.compress(file[:length])) == "nifti"
    with pytest.raises(Truncated):
        read_header(file[:length])


def test_other_bytes_are_not_truncated_nifti() -> None:
    with pytest.raises(NotAnImage):
        read_header(b"GIF89a" + bytes(100))
