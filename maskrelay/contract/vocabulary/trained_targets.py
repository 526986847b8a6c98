"""The targets that the model was trained to find, and the search for a target that is similar to a prompt.

The prompts in the training data have the form "{target} in {site} {modality}". Source: the list in the model card.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, Field

from maskrelay.contract.record import Record

_TABLE: tuple[tuple[str, str, str], ...] = (
    ("CT", "abdomen", "adrenal gland, left adrenal gland, right adrenal gland, aorta, postcava, bladder, duodenum"),
    ("CT", "abdomen", "esophagus, gallbladder, liver, pancreas, spleen, stomach, tumor"),
    ("CT", "abdomen", "kidney, left kidney, right kidney, kidney cyst, kidney tumor"),
    ("CT", "colon", "tumor"),
    ("CT", "liver", "liver, tumor"),
    ("CT", "lung", "COVID-19 infection, nodule"),
    ("CT", "pelvis", "uterus"),
    (
        "MRI",
        "abdomen",
        "aorta, esophagus, gallbladder, kidney, left kidney, right kidney, liver, pancreas, postcava, spleen, stomach",
    ),
    ("MRI", "brain", "anterior hippocampus, posterior hippocampus"),
    ("MRI FLAIR", "brain", "edema, lower-grade glioma, tumor, tumor core, whole tumor"),
    ("MRI T1-Gd", "brain", "enhancing tumor, tumor core"),
    ("MRI", "heart", "left heart atrium, left heart ventricle, right heart ventricle, myocardium"),
    ("MRI", "prostate", "prostate"),
    ("MRI T2", "prostate", "peripheral zone, transitional zone"),
    ("OCT", "retinal", "edema"),
    ("X-ray", "chest", "COVID-19 infection, left lung, right lung, lung, lung opacity, viral pneumonia"),
    ("dermoscopy", "skin", "lesion, melanoma"),
    ("endoscope", "colon", "polyp, neoplastic polyp, non-neoplastic polyp"),
    ("fundus", "retinal", "optic cup, optic disc"),
    (
        "pathology",
        "any organ",
        "neoplastic cells, inflammatory cells, epithelial cells, connective tissue cells",
    ),
    ("pathology", "colon", "glandular structure"),
    ("ultrasound", "breast", "benign tumor, malignant tumor"),
    ("ultrasound", "heart", "left heart atrium, left heart ventricle"),
    ("ultrasound", "transperineal", "fetal head, pubic symphysis"),
)
_ANY = "any organ"
#: Synonyms of targets. The value is the target.
SYNONYMS: dict[str, str] = {
    "inferior vena cava": "postcava",
    "ivc": "postcava",
    "gall bladder": "gallbladder",
    "oesophagus": "esophagus",
    "urinary bladder": "bladder",
    "suprarenal gland": "adrenal gland",
    "oedema": "edema",
    "optic disk": "optic disc",
    "left ventricle": "left heart ventricle",
    "right ventricle": "right heart ventricle",
    "left atrium": "left heart atrium",
    "lung nodule": "nodule",
    "brain tumor": "tumor",
    "liver tumor": "tumor",
}
#: Synonyms of modalities, including DICOM's codes. The value is the modality.
_MODALITIES = {
    "mr": "mri",
    "cr": "x-ray",
    "dx": "x-ray",
    "xray": "x-ray",
    "us": "ultrasound",
    "opt": "oct",
    "op": "fundus",
    "sm": "pathology",
    "es": "endoscope",
    "endoscopy": "endoscope",
}
#: The lowest similarity at which a target is suggested for a prompt, from 0 to 1.
_ALIKE = 0.75
#: The largest number of warnings for a job.
MOST_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """A target that the model was trained to find."""

    target: str
    site: str
    modality: str

    @property
    def prompt(self) -> str:
        """The prompt in the form used in training.

        For a target that may be in any organ, it contains the text `{organ}` in place of the site.
        """
        site = "{organ}" if self.site == _ANY else self.site
        return f"{self.target} in {site} {self.modality}"


TARGETS: tuple[Target, ...] = tuple(
    Target(target, site, modality) for modality, site, targets in _TABLE for target in targets.split(", ")
)


class PromptWarning(Record):
    """A warning about a prompt on which the model was not trained, so that the meaning of its mask is unknown."""

    code: str = "prompt_unknown"
    prompt: str
    nearest: str | None = None


class TargetShown(BaseModel):
    target: str
    site: str
    modality: str
    prompt: str = Field(description="The prompt, in the form used in training.")
    synonyms: list[str] = []


class TargetList(BaseModel):
    prompts: list[TargetShown]


def targets_of(modality: str | None, site: str | None) -> list[TargetShown]:
    """Return the targets of a modality and a site. The list is empty if either is unknown.

    `MRI` includes its sequences, such as `MRI T2`. None means every modality or site.
    """
    return [
        TargetShown(
            target=known.target,
            site=known.site,
            modality=known.modality,
            prompt=known.prompt,
            synonyms=_synonyms(known.target),
        )
        for known in TARGETS
        if _begins(known.modality, modality) and _begins(known.site, site)
    ]


def prompt_warnings(prompts: list[str] | tuple[str, ...]) -> tuple[PromptWarning, ...]:
    """Return a warning for each different prompt whose target is unknown, but at most MOST_WARNINGS warnings."""
    unknown = [prompt for prompt in dict.fromkeys(prompts) if not is_known(prompt)]
    return tuple(PromptWarning(prompt=prompt, nearest=nearest(prompt)) for prompt in unknown[:MOST_WARNINGS])


def is_known(prompt: str) -> bool:
    """Return whether the model was trained on the target of the prompt.

    The target is the text before " in ". It may be a synonym, in upper or lower case, singular or plural. If the text
    after " in " contains a known modality or site, the model must have been trained on the target with this modality
    and site.
    """
    target, place = _split(prompt)
    known = _known().get(_plain(target))
    named = {_MODALITIES.get(word, word) for word in _words(place)}
    modalities, sites = named & _modalities(), named & _sites()
    return any(
        one.target == known
        and (not modalities or _modality(one) in modalities)
        and (not sites or one.site in sites or one.site == _ANY)
        for one in TARGETS
    )


def nearest(prompt: str) -> str | None:
    """Return the training prompt of the most similar known target, or None if no target is similar.

    If the model was trained on the target with several sites and modalities, those that the prompt contains are
    preferred.
    """
    target, place = _split(prompt)
    alike = difflib.get_close_matches(_plain(target), _known(), n=1, cutoff=_ALIKE)
    if not alike:
        return None
    found = [one for one in TARGETS if one.target == _known()[alike[0]]]
    words = set(_words(place))
    return max(found, key=lambda one: len(words & {*_words(one.site), *_words(one.modality)})).prompt


@cache
def _known() -> dict[str, str]:
    """Return the target that each name means. The keys are names in normalised form, including synonyms."""
    names = {_plain(one.target): one.target for one in TARGETS}
    return names | {_plain(other): target for other, target in SYNONYMS.items()}


def _synonyms(target: str) -> list[str]:
    return [other for other, meant in SYNONYMS.items() if meant == target]


def _split(prompt: str) -> tuple[str, str]:
    """Return the text before and after the first " in ": the target and its location."""
    target, *place = re.split(r"\s+in\s+", prompt.strip(), maxsplit=1)
    return target, "".join(place)


@cache
def _modalities() -> set[str]:
    return {_modality(one) for one in TARGETS}


@cache
def _sites() -> set[str]:
    return {one.site for one in TARGETS}


def _modality(target: Target) -> str:
    """Return the modality in lower case and without the sequence. For "MRI T2", this is `mri`."""
    return target.modality.split()[0].lower()


def _plain(text: str) -> str:
    """Return the text in lower case, with one space between words and each word in the singular."""
    return " ".join(word.removesuffix("s") if len(word) > 3 else word for word in _words(text))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text.lower())


def _begins(known: str, asked: str | None) -> bool:
    if asked is None:
        return True
    word = _MODALITIES.get(asked.lower(), asked.lower())
    return known.lower() == word or known.lower().startswith(f"{word} ")
