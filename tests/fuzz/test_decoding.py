"""A thousand hostile files; `make fuzz` sends ten thousand."""

import pytest

from tests.fuzz.decoding import run

SEED = 20261125


@pytest.mark.slow_subject("hostile-files")
def test_a_thousand_hostile_files_are_pictures_or_coded_errors_in_bounded_time_and_memory() -> None:
    ended, wrong = run(1000, SEED, children=2)
    assert wrong == {}
    assert sum(ended.values()) == 1000
    assert {name.split(": ")[0] for name in ended} == {"still", "tiff", "dicom", "nifti"}
    assert sum(many for name, many in ended.items() if name.endswith(": picture")) > 100
