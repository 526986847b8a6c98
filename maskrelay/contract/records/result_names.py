"""The names of the files that jobs write: results, also in the folders of their sources, and files under way.

A file in the folder of its source is named `{stem}.maskrelay-{job}.{artifact}`. The name of an artifact begins with the
number of its item and is unique within the job, so no two files have the same name, whatever the stems are.
"""

import os
import re
from urllib.parse import quote, unquote_to_bytes

from maskrelay.contract.records.keys import ID

_ENDING = re.compile(r"(?<=.)\.(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{1,5}$")
_MARK = ".maskrelay-"
_TEMPORARY = re.compile(r"~[0-9a-f]{24}")
_RESULT = re.compile(rf"{re.escape(_MARK)}{ID.pattern}\.")
#: The longest name of a file, in bytes.
_LONGEST = 255


def stem_of(name: str) -> str:
    """Return a file name without its extension, for example `.nii.gz`. The last number of a UID is not an extension."""
    plain = name[:-3] if name.lower().endswith(".gz") else name
    return _ENDING.sub("", plain) or plain


def url_beside(source: str, job: str, artifact: str) -> str:
    """Return the URL of an artifact in the folder of its source, whose canonical URL is `source`.

    It is the same however often it is computed. A stem that is too long for the name of a file is cut.
    """
    folder, _, name = source.rpartition("/")
    is_encoded = source.startswith("file:")
    if is_encoded:
        name = os.fsdecode(unquote_to_bytes(name))
    end = f"{_MARK}{job}.{artifact}"
    stem = stem_of(name) or name
    while len(os.fsencode(stem)) > _LONGEST - len(end):
        stem = stem[:-1]
    return f"{folder}/{quote(os.fsencode(stem)) if is_encoded else stem}{end}"


def is_result(url: str) -> bool:
    """Return whether this is the URL of a file that a job has written into the folder of its source."""
    return _RESULT.search(url.rpartition("/")[2]) is not None


def is_temporary(name: str) -> bool:
    """Return whether a file with this name is one that a file store is writing, or that a killed process has left."""
    return _TEMPORARY.fullmatch(name) is not None
