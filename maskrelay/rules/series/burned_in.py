"""Whether an image may show burned-in text, and what the policy decides then.

Sources: DICOM PS3.3, C.7.6.1.1.5 (the tag) and C.8.6.1 (conversion).
"""

from typing import Literal

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.rules.series.whole_slide import shows_label

Policy = Literal["allow", "warn", "refuse"]

#: Modalities whose images commonly show names, dates or marks even when BurnedInAnnotation is absent.
_MODALITIES = frozenset({"US", "SC", "XA", "RF", "ES", "OT"})
#: Secondary Capture, single and multi-frame (7, 7.1 … 7.4).
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: ConversionType: digitized film and video, scanned documents and images.
_SCANNED = frozenset({"DF", "DV", "SD", "SI"})


def may_be_burned_in(facts: DicomFacts) -> bool:
    """Return whether the image may show burned-in text: by its tag, and without a tag by its modality and origin.

    A slide's label always counts as text, whatever the tag says.
    """
    if shows_label(facts):
        return True
    if facts.burned_in is not None:
        return facts.burned_in
    captured = facts.sop_class == _SECONDARY_CAPTURE or facts.sop_class.startswith(_SECONDARY_CAPTURE + ".")
    return captured or facts.modality in _MODALITIES or facts.conversion in _SCANNED


def judge_burned_in(facts: DicomFacts, policy: Policy) -> Literal["go", "warn", "refuse"]:
    """Apply the policy for burned-in text to an object.

    go: the image is sent. warn: it is sent and flagged. refuse: its item fails with `burned_in_annotation`.
    """
    if policy == "allow" or not may_be_burned_in(facts):
        return "go"
    return policy
