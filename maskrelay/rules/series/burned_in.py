"""The rules for images that may show burned-in text.

Sources: DICOM PS3.3, C.7.6.1.1.5 (BurnedInAnnotation) and C.8.6.1 (ConversionType).
"""

from typing import Literal

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.rules.series.whole_slide import shows_label

Policy = Literal["allow", "warn", "refuse"]

#: The modalities whose images often show names, dates or marks although they have no BurnedInAnnotation tag.
_MODALITIES = frozenset({"US", "SC", "XA", "RF", "ES", "OT"})
#: The SOP class of a secondary capture. The classes of multi-frame secondary captures have a further component, .1 to
#: .4.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: The values of ConversionType for digitised film and video, and for scanned documents and images.
_SCANNED = frozenset({"DF", "DV", "SD", "SI"})


def may_be_burned_in(facts: DicomFacts) -> bool:
    """Return whether the image may show burned-in text.

    The result is true for an image that may show the label of a slide, whatever the tag BurnedInAnnotation says. For
    other images, the tag decides. If it is absent, the modality and the origin of the image decide.
    """
    if shows_label(facts):
        return True
    if facts.burned_in is not None:
        return facts.burned_in
    captured = facts.sop_class == _SECONDARY_CAPTURE or facts.sop_class.startswith(_SECONDARY_CAPTURE + ".")
    return captured or facts.modality in _MODALITIES or facts.conversion in _SCANNED


def judge_burned_in(facts: DicomFacts, policy: Policy) -> Literal["go", "warn", "refuse"]:
    """Apply the policy for burned-in text to an object.

    Return `go` if the image is sent to the endpoint, `warn` if it is sent and the item gets a finding, and `refuse` if
    the item fails with `burned_in_annotation`.
    """
    if policy == "allow" or not may_be_burned_in(facts):
        return "go"
    return policy
