"""What is wanted: names, durations, and whether what is there is as wanted."""

import pytest

from maskrelay.admin.azure.spec import (
    DeploymentSpec,
    checked_name,
    duration,
    holds,
    seconds_of,
)
from maskrelay.errors import AzureNameInvalid


@pytest.mark.parametrize("name", ["abc", "Mip-East-2", "a" * 32, "a--b"])
def test_a_name_of_letters_digits_and_hyphens_is_taken(name: str):
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "ab", "1st", "-abc", "abc-", "a_b", "ä-b-c", "a" * 33, "abc\n", "a b c", "x;rm"])
def test_any_other_name_is_refused(name: str):
    with pytest.raises(AzureNameInvalid):
        DeploymentSpec(name, "blue")
    with pytest.raises(AzureNameInvalid):
        DeploymentSpec("mip-east", name)


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 90, 600, 3600, 3661, 86400])
def test_a_duration_reads_back_as_the_same_seconds(seconds: int):
    assert seconds_of(duration(seconds)) == seconds


def test_durations_of_others_are_read():
    assert [seconds_of(text) for text in ("PT90S", "PT1M30S", "P1DT1H", "PT0.5S")] == [90, 90, 90000, 0.5]
    assert [seconds_of(text) for text in ("", "P", "PT", "90", "P1Y", "Default")] == [None] * 6


def test_what_is_there_holds_what_is_wanted_whatever_azure_adds_or_respells():
    present = {"model": "azureml://REGISTRIES/x", "probe": {"delay": "PT90S", "more": 1}, "count": 2, "id": "…"}
    assert holds(present, {"model": "azureml://registries/x", "probe": {"delay": "PT1M30S"}, "count": 2})
    assert not holds(present, {"probe": {"delay": "PT2M"}})
    assert not holds(present, {"count": 3})
    assert not holds(present, {"absent": {"delay": "PT1M"}})
