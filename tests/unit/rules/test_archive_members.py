"""Which members of an archive are pictures, and which are other files that are left out."""

import pytest

from maskrelay.errors import NoPixels, NotAnImage, NotAPicture, Truncated
from maskrelay.rules.archive_members import is_called_picture, is_other_file


@pytest.mark.parametrize("name", ["a/b.PNG", "x.tiff", "1.dcm", "brain.nii.gz", "scan.IMA"])
def test_files_say_by_their_names_that_they_are_pictures(name):
    assert is_called_picture(name)


@pytest.mark.parametrize("name", ["IM0001", "README.txt", "1.2.840.113", "Thumbs.db", "viewer.jar", "png"])
def test_other_names_say_nothing(name):
    assert not is_called_picture(name)


@pytest.mark.parametrize(
    ("error", "name", "other"),
    [
        (NotAPicture("a segmentation"), "seg.dcm", True),
        (NoPixels("a report", has_size=False), "IM0", True),
        (NoPixels("a slice without pixels", has_size=True), "IM0", False),
        (NotAnImage(), "README", True),
        (NotAnImage(), "slice.dcm", False),
        (Truncated(), "IM0", False),
    ],
)
def test_reports_and_segmentations_are_other_files_and_damaged_pictures_are_not(error, name, other):
    assert is_other_file(error, name) == other
