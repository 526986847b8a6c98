"""Which members of a zip archive are images, judged by their names before and by their errors after they are opened."""

import re

from maskrelay.errors import ItemError, NoPixels, NotAnImage, NotAPicture

#: File names of images. A file with such a name that is not an image is damaged.
_PICTURE = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima|nii|nii\.gz)$", re.IGNORECASE)


def is_called_archive(name: str) -> bool:
    """Return whether the file name is that of an archive, and not of a program or document that is a zip inside."""
    return name.lower().endswith(".zip")


def is_called_picture(name: str) -> bool:
    """Return whether the file name is that of an image."""
    return bool(_PICTURE.search(name))


def is_other_file(error: ItemError, name: str) -> bool:
    """Return whether a member that could not be read is a file of another kind, and not a damaged image."""
    if isinstance(error, NotAPicture):
        return True
    if isinstance(error, NoPixels):  # a report or a plan has no rows and columns either
        return not error.fields.get("has_size", True)
    return isinstance(error, NotAnImage) and not is_called_picture(name)
