from typing import get_args

import pytest
from pydantic import ValidationError

from maskrelay.contract.vocabulary.intensity_names import (
    CT_WINDOWS,
    PRESETS,
    ExplicitWindow,
    Preset,
    read_intensity,
)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_taken_by_its_name(name):
    assert read_intensity(name) == name


def test_every_ct_window_is_a_preset():
    assert {name for name in get_args(Preset) if name.startswith("ct-")} == set(CT_WINDOWS)


def test_a_window_is_taken_as_two_numbers():
    assert read_intensity({"window": [-150, 250.5]}) == ExplicitWindow(window=(-150, 250.5))


@pytest.mark.parametrize(
    "value",
    [
        "ct-brain",
        "",
        None,
        7,
        [],
        ["none"],
        {},
        {"window": []},
        {"window": [1]},
        {"window": [1, 2, 3]},
        {"window": ["1", "2"]},
        {"window": [False, True]},
        {"window": [None, 2]},
        {"window": [2, 2]},
        {"window": [3, 2]},
        {"window": [0, 10**400]},
        {"window": [float("nan"), 1]},
        {"window": [0, float("inf")]},
        {"window": [-1.7e308, 1.7e308]},
        {"window": {"low": 1, "high": 2}},
        {"window": [0, 1], "name": "mine"},
    ],
)
def test_anything_else_is_refused_with_what_is_taken(value):
    with pytest.raises(ValueError, match="Expected one of ct-abdomen"):
        read_intensity(value)


def test_a_window_that_falls_cannot_be_made():
    with pytest.raises(ValidationError):
        ExplicitWindow(window=(1, 0))
