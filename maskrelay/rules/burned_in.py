"""Pictures that may show text, such as a patient's name: told by their tag and by how they are made."""

from typing import Literal

from maskrelay.contract.dicom import DicomFacts

#: Devices that write on their pictures, and ways of copying what somebody wrote on.
SUSPECTED_MODALITIES = frozenset({"US", "IVUS", "SC", "XA", "RF", "ES", "OT", "XC", "DOC"})
#: Secondary capture in all its forms begins like this (PS3.4 B.5).
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

Found = Literal["yes", "suspected"]
Policy = Literal["allow", "warn", "refuse"]


def burned_in(facts: DicomFacts) -> Found | None:
    """Whether the object says that text is burned in, or may have it and does not deny it; None: it has none."""
    if facts.burned_in is not None:
        return "yes" if facts.burned_in else None
    captured = facts.sop_class == _SECONDARY_CAPTURE or facts.sop_class.startswith(f"{_SECONDARY_CAPTURE}.")
    suspected = facts.modality in SUSPECTED_MODALITIES or captured or facts.conversion is not None
    return "suspected" if suspected else None


def judge_burned_in(facts: DicomFacts, policy: Policy) -> tuple[Found | None, bool]:
    """What is to be noted of the object, and whether it is refused: nothing is noted where all is allowed."""
    found = burned_in(facts) if policy != "allow" else None
    return found, policy == "refuse" and found is not None
