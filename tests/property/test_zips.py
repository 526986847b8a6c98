"""Any archive reads as the standard library wrote it, and no damage to one ends in an error without a code."""

import zipfile

from hypothesis import given
from hypothesis import strategies as st

from maskrelay.errors import ArchiveInvalid, ArchiveTooLarge, Truncated
from tests.support.builders.zips import (
    FILES,
    MANY,
    a_zip,
    contents,
)

names = st.text(st.characters(codec="utf-8", exclude_characters="/\\:", exclude_categories=["C"]), min_size=1).filter(
    lambda name: not name.startswith(".")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join).filter(lambda path: not path.startswith("__MACOSX/"))
files = st.lists(st.tuples(paths, st.binary(min_size=1, max_size=5000)), max_size=8)


@given(files, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), st.binary(max_size=40))
def test_what_the_standard_library_writes_is_read_alike(packed, method, comment):
    unique = dict(packed)
    archive = a_zip(*unique.items(), method=method, comment=comment)
    assert contents(archive) == list(unique.items())


@given(st.data())
def test_damage_anywhere_is_a_coded_error_or_changes_nothing_else(data):
    archive = bytearray(a_zip(*FILES, comment=b"a comment"))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(archive[: data.draw(st.integers(0, len(archive)))] if data.draw(st.booleans()) else archive)
    try:
        found = contents(cut)
    except (ArchiveInvalid, ArchiveTooLarge, Truncated):
        return
    assert sum(len(content) for _, content in found) <= MANY["most_bytes"]
