"""Burned-in annotation: what an object says, what its kind makes likely, and what the policy makes of it."""

import pytest

from maskrelay.rules.series.burned_in import judge_burned_in, may_be_burned_in
from tests.support.builders.series import object_of

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    ("facts", "suspected"),
    [
        ({}, False),
        ({"burned_in": True}, True),
        ({"burned_in": False, "modality": "US"}, False),
        ({"burned_in": False, "sop_class": SECONDARY_CAPTURE}, False),
        *(({"modality": modality}, True) for modality in ("US", "SC", "XA", "RF", "ES", "OT")),
        *(({"modality": modality}, False) for modality in ("CT", "MR", "CR", "DX", "MG", "")),
        ({"sop_class": SECONDARY_CAPTURE}, True),
        ({"sop_class": f"{SECONDARY_CAPTURE}.4"}, True),
        ({"sop_class": f"{SECONDARY_CAPTURE}7.1"}, False),  # visible light: another class that begins alike
        ({"conversion": "SD"}, True),
        ({"conversion": "DI"}, False),
    ],
)
def test_the_tag_decides_and_without_it_the_kind_of_object(facts, suspected):
    assert may_be_burned_in(object_of("a", **facts)) == suspected


@pytest.mark.parametrize("policy", ["allow", "warn", "refuse"])
def test_the_policy_judges_only_what_is_suspected(policy):
    assert judge_burned_in(object_of("a"), policy) == "go"
    assert judge_burned_in(object_of("a", burned_in=True), policy) == {"allow": "go"}.get(policy, policy)
