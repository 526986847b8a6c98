"""The SNOMED CT codes of a segment. They are chosen by the prompt or, if it is unknown, by the returned category.

The category is only the model's guess and may be missing, so the prompt takes precedence. Source of the codes: DICOM
PS3.16, CID 7150 (categories) and CID 7151 (types), and the SNOMED CT codes for cells, nuclei and effusions.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from maskrelay.contract.record import Record
from maskrelay.errors import CodesInvalid

#: The characters that DICOM permits in values of type SH and LO. A backslash separates values, so it is not permitted.
#: Control characters are not permitted either.
_WORDS = r"^[^\\\x00-\x1f]+$"
_Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=_WORDS)]
_Long = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=_WORDS)]
_MOST_BYTES = 1 << 20


class Code(Record):
    """A coded concept, with its value in a coding scheme and its meaning."""

    model_config = ConfigDict(extra="forbid")  # operators write these records, so a misspelt name must be an error

    value: _Short
    scheme: _Short = "SCT"
    meaning: _Long


class SegmentCodes(Record):
    """The codes of a segment: its category (CID 7150) and its type (CID 7151)."""

    model_config = ConfigDict(extra="forbid")

    category: Code
    type: Code


#: The codes that a user specified. The keys are prompts in lower case.
CodeTable = Mapping[str, SegmentCodes]

_ANATOMY = Code(value="91723000", meaning="Anatomical Structure")
_ABNORMAL = Code(value="49755003", meaning="Morphologically Abnormal Structure")
_TISSUE = Code(value="85756007", meaning="Tissue")


def _anatomy(value: str, meaning: str) -> SegmentCodes:
    return SegmentCodes(category=_ANATOMY, type=Code(value=value, meaning=meaning))


def _abnormal(value: str, meaning: str) -> SegmentCodes:
    return SegmentCodes(category=_ABNORMAL, type=Code(value=value, meaning=meaning))


_LIVER = _anatomy("10200004", "Liver")
_LUNG = _anatomy("39607008", "Lung")
_KIDNEY = _anatomy("64033007", "Kidney")
_PANCREAS = _anatomy("15776009", "Pancreas")
_HEART = _anatomy("80891009", "Heart")
_BRAIN = _anatomy("12738006", "Brain")
_EYE = _anatomy("81745001", "Eye")
_VESSEL = _anatomy("59820001", "Blood Vessel")
_ORGAN = _anatomy("91772007", "Organ")
_SPLEEN = _anatomy("78961009", "Spleen")
_STOMACH = _anatomy("69695003", "Stomach")
_DUODENUM = _anatomy("38848004", "Duodenum")
_ESOPHAGUS = _anatomy("32849002", "Esophagus")
_GALLBLADDER = _anatomy("28231008", "Gallbladder")
_BLADDER = _anatomy("89837001", "Bladder")
_ADRENAL_GLAND = _anatomy("23451007", "Adrenal gland")
_UTERUS = _anatomy("35039007", "Uterus")
_PROSTATE = _anatomy("41216001", "Prostate")
_PERIPHERAL_ZONE = _anatomy("279706003", "Peripheral zone of the prostate")
_TRANSITION_ZONE = _anatomy("399384005", "Transition zone of the prostate")
_HEAD = _anatomy("69536005", "Head")
_SYMPHYSIS = _anatomy("82561000", "Symphysis pubis")
_NEOPLASM = _abnormal("108369006", "Neoplasm")
_LESION = _abnormal("52988006", "Lesion")
_NODULE = _abnormal("27925004", "Nodule")
_EFFUSION = _abnormal("41699000", "Effusion")
_EDEMA = _abnormal("79654002", "Edema")
_CELL = SegmentCodes(category=_TISSUE, type=Code(value="4421005", meaning="Cell"))
_NUCLEUS = SegmentCodes(category=_TISSUE, type=Code(value="84640000", meaning="Nucleus"))
_ANY_TISSUE = SegmentCodes(category=_TISSUE, type=_TISSUE)

#: Patterns for findings in the target of a prompt. The first pattern that matches applies.
_FINDINGS: tuple[tuple[str, SegmentCodes], ...] = (
    (r"non-?neoplastic|polyp|cyst|lesion", _LESION),
    (r"\bnucle(us|i)\b", _NUCLEUS),
    (r"\bcells?\b", _CELL),
    (r"tumou?r|neoplas|glioma|melanoma|carcinoma|cancer|malignan", _NEOPLASM),
    (r"o?edema", _EDEMA),
    (r"effusion", _EFFUSION),
    (r"nodule", _NODULE),
    (r"infection|pneumonia|opacit", _LESION),
)
_BY_CATEGORY: dict[str, SegmentCodes] = {
    "liver": _LIVER,
    "lung": _LUNG,
    "kidney": _KIDNEY,
    "pancreas": _PANCREAS,
    "heart anatomies": _HEART,
    "brain anatomies": _BRAIN,
    "eye anatomies": _EYE,
    "vessel": _VESSEL,
    "other organ": _ORGAN,
    "tumor": _NEOPLASM,
    "infection": _LESION,
    "other lesion": _LESION,
    "fluid disturbance": _EFFUSION,
    "other abnormality": _LESION,
    "histology structure": _ANY_TISSUE,
}
#: Patterns for organs and parts of organs in the target of a prompt. The organs are those in the model's list of
#: prompts.
_ORGANS: tuple[tuple[str, SegmentCodes], ...] = (
    (r"\bspleen\b", _SPLEEN),
    (r"\bstomach\b", _STOMACH),
    (r"\bduodenum\b", _DUODENUM),
    (r"\bo?esophagus\b", _ESOPHAGUS),
    (r"\bgall ?bladder\b", _GALLBLADDER),
    (r"\bbladder\b", _BLADDER),
    (r"\b(adrenal|suprarenal) glands?\b", _ADRENAL_GLAND),
    (r"\buterus\b", _UTERUS),
    (r"\bperipheral zone\b", _PERIPHERAL_ZONE),
    (r"\btransition(al)? zone\b", _TRANSITION_ZONE),
    (r"\bprostate\b", _PROSTATE),
    (r"\bf(o?)etal head\b", _HEAD),
    (r"\bpubic symphysis\b|\bsymphysis pubis\b", _SYMPHYSIS),
    (r"\bglandular structures?\b", _ANY_TISSUE),
    (r"\b(left|right) (atrium|ventricle)\b", _HEART),
    (r"\bliver\b", _LIVER),
    (r"\blungs?\b", _LUNG),
    (r"\bkidneys?\b", _KIDNEY),
    (r"\bpancreas\b", _PANCREAS),
    (r"\bheart\b|myocardium", _HEART),
    (r"\bbrain\b|hippocampus", _BRAIN),
    (r"\beyes?\b|optic", _EYE),
    (r"\bvessels?\b|aorta|postcava|vena cava|\bivc\b", _VESSEL),
)
_TABLE = TypeAdapter(dict[str, SegmentCodes])


def codes_of(prompt: str, category: str | None, table: CodeTable | None = None) -> SegmentCodes:
    """Return the codes of the segment for a prompt.

    The user's codes in `table` take precedence. If they do not contain the prompt, its target (the text before " in ")
    determines the codes. If the target is unknown, the category determines them. If the category is unknown too, the
    segment is coded as an organ, without further detail.
    """
    own = (table or {}).get(_plain(prompt))
    target = _plain(prompt).split(" in ")[0]
    known = _BY_CATEGORY.get(_plain(category or ""))
    return own or _first(_FINDINGS, target) or _first(_ORGANS, target) or known or _ORGAN


def read_code_table(text: str | bytes) -> dict[str, SegmentCodes]:
    """Parse a user's table of codes from JSON: `{"prompt": {"category": {"value", "scheme", "meaning"}, "type": {…}}}`.

    `scheme` defaults to SCT. Prompts are compared without regard to case and to the number of spaces. Raises
    CodesInvalid if the table cannot be used. The error names the location of the mistake and quotes no value.
    """
    if len(text) > _MOST_BYTES:
        raise CodesInvalid(f"The table of codes has more than {_MOST_BYTES} bytes.")
    try:
        table = _TABLE.validate_json(text)
    except ValidationError as error:
        raise CodesInvalid(_said(error)) from None
    plain = {_plain(prompt): codes for prompt, codes in table.items()}
    if len(plain) < len(table) or "" in plain:
        raise CodesInvalid("A prompt in the table of codes is empty or is repeated.")
    return plain


def _said(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return f"The table of codes cannot be used: {f'{place}: ' if place else ''}{first['type']}."


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _first(rules: tuple[tuple[str, SegmentCodes], ...], target: str) -> SegmentCodes | None:
    return next((codes for words, codes in rules if re.search(words, target)), None)
