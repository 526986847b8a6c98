"""The rules that decide which members of a zip archive are images.

They examine the name of a member before it is opened, and its error if it cannot be read.
"""

import re

from maskrelay.errors import ItemError, NoPixels, NotAnImage, NotAPicture

#: File names of images. If a file with such a name is not an image, it is a damaged one.
_PICTURE = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima|nii|nii\.gz)$", re.IGNORECASE)


def is_called_archive(name: str) -> bool:
    """Return whether the file name is that of a zip archive. Programs and documents can have the same file format."""
    return name.lower().endswith(".zip")


def is_called_picture(name: str) -> bool:
    """Return whether the file name is that of an image."""
    return bool(_PICTURE.search(name))


def is_other_file(error: ItemError, name: str) -> bool:
    """Return whether a member that could not be read is a file of another kind rather than a damaged image."""
    if isinstance(error, NotAPicture):
        return True
    if isinstance(error, NoPixels):  # a DICOM report or treatment plan has neither rows nor columns
        return not error.has_size
    return isinstance(error, NotAnImage) and not is_called_picture(name)
