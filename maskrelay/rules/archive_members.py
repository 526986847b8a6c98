"""The rules that decide which members of a zip archive are images.

Before a member is opened, they use its name. If the member cannot be read, they use its name and the error.
"""

import re

from maskrelay.errors import ItemError, NoPixels, NotAnImage, NotAPicture

#: The endings of image file names. A file with such a name that cannot be read as an image is regarded as damaged.
_PICTURE = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima|nii|nii\.gz)$", re.IGNORECASE)


def is_called_archive(name: str) -> bool:
    """Return whether the file name is that of a zip archive.

    The content does not show this, because some programs and documents are zip files too.
    """
    return name.lower().endswith(".zip")


def is_called_picture(name: str) -> bool:
    """Return whether the file name is that of an image."""
    return bool(_PICTURE.search(name))


def is_other_file(error: ItemError, name: str) -> bool:
    """Return whether a member that could not be read is a file of another kind rather than a damaged image."""
    if isinstance(error, NotAPicture):
        return True
    if isinstance(error, NoPixels):  # DICOM reports and treatment plans have neither rows nor columns
        return not error.has_size
    return isinstance(error, NotAnImage) and not is_called_picture(name)
