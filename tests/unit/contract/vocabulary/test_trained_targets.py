"""Known targets, and what is said of a prompt that is none."""

import pytest

from maskrelay.contract.vocabulary.trained_targets import (
    MOST_WARNINGS,
    TARGETS,
    is_known,
    nearest,
    prompt_warnings,
    targets_of,
)


@pytest.mark.parametrize(
    "prompt",
    [
        "liver",
        "Liver in abdomen CT",
        "left kidney in abdomen MRI",
        "optic disc in retinal fundus",
        "neoplastic cells in breast pathology",
        "inferior vena cava in abdomen CT",
        "kidneys in abdomen CT",
        "gall bladder",
        "  spleen   in abdomen CT ",
        "liver in abdomen MR",
        "left lung in chest DX",
        "liver in a venous phase CT",
        "liver in somewhere unheard of",
        *(target.prompt for target in TARGETS),
    ],
)
def test_what_the_model_was_trained_on_is_known(prompt):
    assert is_known(prompt)
    assert prompt_warnings([prompt]) == ()


@pytest.mark.parametrize(
    ("prompt", "suggested"),
    [
        ("livr in abdomen CT", "liver in abdomen CT"),
        ("spleeen in abdomen MRI", "spleen in abdomen MRI"),
        ("optical disc in retinal fundus", "optic disc in retinal fundus"),
        ("left kidny in abdomen MRI", "left kidney in abdomen MRI"),
        ("tumr in brain MRI FLAIR", "tumor in brain MRI FLAIR"),
        ("liver in chest X-ray", "liver in abdomen CT"),
        ("prostate in prostate CT", "prostate in prostate MRI"),
        ("optic disc in retinal OCT", "optic disc in retinal fundus"),
        ("heart in chest CT", None),
        ("carburettor", None),
    ],
)
def test_an_unknown_prompt_is_told_of_the_nearest_target(prompt, suggested):
    assert not is_known(prompt)
    assert nearest(prompt) == suggested
    [warning] = prompt_warnings([prompt, prompt])
    assert (warning.code, warning.prompt, warning.nearest) == ("prompt_unknown", prompt, suggested)


def test_a_modality_brings_its_sequences_and_a_site_narrows_it():
    assert {one.modality for one in targets_of("mri", None)} == {"MRI", "MRI FLAIR", "MRI T1-Gd", "MRI T2"}
    assert [one.target for one in targets_of("MRI", "prostate")] == ["prostate", "peripheral zone", "transitional zone"]
    [uterus] = targets_of("CT", "pelvis")
    assert uterus.prompt == "uterus in pelvis CT"
    [cava] = [one for one in targets_of("CT", "abdomen") if one.target == "postcava"]
    assert "inferior vena cava" in cava.synonyms
    assert targets_of("MR", None) == targets_of("mri", None)
    assert targets_of("radar", None) == []


def test_a_job_is_not_flooded_with_warnings():
    assert len(prompt_warnings([f"thing {number}" for number in range(100)])) == MOST_WARNINGS
