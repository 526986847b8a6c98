"""Detection of the kind of a source from its first bytes. The source's name and its declared type are ignored."""

import re
import struct
from typing import Literal

#: The number of bytes at the beginning of a source that are examined.
HEAD_BYTES = 1024
_TIFF = re.compile(rb"II[*+]\0|MM\0[*+]")
#: The signatures of a zip archive with entries, and of an empty one (APPNOTE 4.3.7 and 4.3.16).
_ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")
#: The value representations of elements in the groups 0002 and 0008 (PS3.6).
_VR = re.compile(rb"AE|AS|AT|CS|DA|DS|DT|IS|LO|LT|OB|OW|PN|SH|SQ|ST|TM|UC|UI|UL|UN|UR|US|UT")
#: The groups with which a DICOM file without a preamble can begin. For each group, the value is the highest element
#: number that the first element of the file can have.
_FIRST_GROUPS = {0x0002: 0x0102, 0x0008: 0x0070}
#: The greatest accepted length of the first element if it does not state its value representation. Most files begin
#: with a group length element of 4 bytes.
_FIRST_LENGTH = 1024
#: For NIfTI-1 and NIfTI-2: the size of the header, the offset of its magic number, and the magic numbers of a single
#: file and of the header of a pair of files (nifti1.h, nifti2.h).
_NIFTI = ((348, 344, (b"n+1\0", b"ni1\0")), (540, 4, (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")))
Kind = Literal["still", "tiff", "dicom", "nifti", "zip"]


def kind_of(head: bytes) -> Kind:
    """Return the kind of a file by its first HEAD_BYTES bytes (`head`), or by all its bytes if it is shorter.

    A file that is compressed with gzip is considered to be NIfTI, because no other source is accepted in this form. A
    file that is not recognised is considered to be a `still`, which means an image such as PNG or JPEG. If it is not an
    image, the decoder reports this later.
    """
    if head[128:132] == b"DICM" or _begins_with_element(head):
        return "dicom"
    if _ZIP.match(head):
        return "zip"
    if _TIFF.match(head):
        return "tiff"
    return "nifti" if head[:2] == b"\x1f\x8b" or _is_nifti(head) else "still"


def _begins_with_element(head: bytes) -> bool:
    """Return whether the bytes begin with a data element of group 0002 or 0008 (PS3.5 §7.1), without a preamble."""
    if len(head) < 8:
        return False
    for order in "<>":
        group, element, implicit_length = struct.unpack_from(f"{order}HHL", head)
        if element > _FIRST_GROUPS.get(group, -1):
            continue
        if _VR.fullmatch(head[4:6]):
            return True
        if order == "<" and implicit_length % 2 == 0 and implicit_length <= _FIRST_LENGTH:
            return True
    return False


def _is_nifti(head: bytes) -> bool:
    """Return whether the bytes begin with a NIfTI header, or with a part of it that ends before the magic number."""
    return any(
        head[:4] in (struct.pack("<i", size), struct.pack(">i", size))
        and (head[at:].startswith(magics) or len(head) < at + len(magics[0]))
        for size, at, magics in _NIFTI
    )
