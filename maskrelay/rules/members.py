"""Which members of a zip archive are images, judged by their names before and by their errors after they are opened."""

import re

from maskrelay.errors import ItemError, NoPixels, NotAnImage, NotAPicture

#: Names by which a file says that it is a picture: what is called so and is none is damaged.
_PICTURE = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp|dcm|dicom|ima|nii|nii\.gz)$", re.IGNORECASE)


def is_called_archive(name: str) -> bool:
    """Whether a file of this name was meant as an archive, and not as a program or a document that is one inside."""
    return name.lower().endswith(".zip")


def is_called_picture(name: str) -> bool:
    """Whether a file of this name was meant as a picture."""
    return bool(_PICTURE.search(name))


def is_other_file(error: ItemError, name: str) -> bool:
    """Whether a member that could not be read is a file of another kind rather than a damaged picture."""
    if isinstance(error, NotAPicture):
        return True
    if isinstance(error, NoPixels):  # a report or a plan has no rows and columns either
        return not error.fields.get("has_size", True)
    return isinstance(error, NotAnImage) and not is_called_picture(name)
