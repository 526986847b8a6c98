"""Real files, damaged in ways that find decoders out. All randomness comes from the generator that is given."""

import gzip
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import pydicom.data

from tests.fuzz.made import made_objects
from tests.support.builders.pictures import files_of_every_format

Mutation = Callable[[bytearray, random.Random], bytearray]
#: A larger file is not mutated: damage to its middle says what damage to a small one's says.
LARGEST = 300_000
_VRS = (b"US", b"UL", b"OB", b"OW", b"SQ", b"UN", b"DS", b"IS", b"UI", b"CS", b"FD")
#: A little-endian tag of one of the usual groups, and a representation with the length behind it.
_TAG = re.compile(rb"[\x02\x08\x10\x18\x20\x28\x52\xe0][\x00\x7f]..", re.DOTALL)
_ELEMENT = re.compile(b"|".join(_VRS))
_LONG = (b"OB", b"OW", b"SQ", b"UN")
_TELLING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000)


def sources() -> list[tuple[str, bytes]]:
    """Sound files of every kind, each with its kind's name."""
    found = [("still", file) for name, file in files_of_every_format().items() if not name.startswith("tiff")]
    found += [("tiff", file) for name, file in files_of_every_format().items() if name.startswith("tiff")]
    names = sorted({name for name in pydicom.data.get_testdata_files() if Path(name).is_file()})
    found += [("dicom", Path(name).read_bytes()) for name in names if name.endswith(".dcm")]
    found += [("dicom", file) for file in made_objects()]
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    for path in sorted(folder.glob("*.nii*")):
        body = path.read_bytes()
        found.append(("nifti", gzip.decompress(body) if path.suffix == ".gz" else body))
    return [(kind, file) for kind, file in found if len(file) <= LARGEST]


def mutated(file: bytes, rng: random.Random) -> bytes:
    """The file after one to four mutations."""
    body = bytearray(file)
    for _ in range(rng.randint(1, 4)):
        if body:
            body = rng.choice(MUTATIONS)(body, rng)
    return bytes(body)


def _place(body: bytearray, rng: random.Random, room: int = 1) -> int:
    """More often near the beginning, where headers are."""
    reach = len(body) if rng.random() < 0.4 else min(len(body), 2048)
    return rng.randrange(max(1, reach - room + 1))


def _flip(body: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 16)):
        body[_place(body, rng)] ^= 1 << rng.randrange(8)
    return body


def _cut(body: bytearray, rng: random.Random) -> bytearray:
    return body[: _place(body, rng)]


def _number(body: bytearray, rng: random.Random) -> bytearray:
    """A length, a count or an offset becomes another one, in either byte order."""
    form = rng.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    place = _place(body, rng, size) & ~1
    body[place : place + size] = struct.pack(form, rng.choice(_TELLING) & (256**size - 1))
    return body


def _splice(body: bytearray, rng: random.Random) -> bytearray:
    start, length, goal = _place(body, rng), rng.randint(1, 512), _place(body, rng)
    return body[:goal] + body[start : start + length] + body[goal + rng.choice((0, length)) :]


def _remove(body: bytearray, rng: random.Random) -> bytearray:
    start = _place(body, rng)
    return body[:start] + body[start + rng.randint(1, 64) :]


def _representation(body: bytearray, rng: random.Random) -> bytearray:
    """A DICOM element gets another value representation: anywhere else it is two odd bytes."""
    place = body.find(rng.choice(_VRS), _place(body, rng))
    if place >= 0:
        body[place : place + 2] = rng.choice(_VRS)
    return body


def _length(body: bytearray, rng: random.Random) -> bytearray:
    """The length of a DICOM element, or the first bytes of its value, becomes another."""
    element = _ELEMENT.search(body, _place(body, rng))
    if element is not None:
        long = element.group() in _LONG
        place = element.end() + (2 if long else 0) + rng.choice((0, 4 if long else 2))
        form = "<I" if long else "<H"
        size = struct.calcsize(form)
        body[place : place + size] = struct.pack(form, rng.choice(_TELLING) & (256**size - 1))
    return body


def _swap(body: bytearray, rng: random.Random) -> bytearray:
    """Two DICOM tags change places."""
    one, other = (_TAG.search(body, _place(body, rng)) for _ in range(2))
    if one is not None and other is not None and abs(one.start() - other.start()) >= 4:
        a, b = bytes(one.group()), bytes(other.group())
        body[one.start() : one.end()], body[other.start() : other.end()] = b, a
    return body


def _late(body: bytearray, rng: random.Random) -> bytearray:
    """Bits behind the header: of samples, and of code streams."""
    for _ in range(rng.randint(1, 30)):
        body[rng.randrange(len(body) // 3, len(body))] ^= 1 << rng.randrange(8)
    return body


def _fill(body: bytearray, rng: random.Random) -> bytearray:
    start = _place(body, rng)
    length = min(rng.randint(1, 64), len(body) - start)
    body[start : start + length] = bytes([rng.choice((0, 0xFF, rng.randrange(256)))]) * length
    return body


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _late,
    _late,
    _cut,
    _number,
    _number,
    _length,
    _length,
    _swap,
    _splice,
    _remove,
    _representation,
    _fill,
)
