"""The words that select each family of methods, and the category that goes with them.

The first rule that matches the target (the text before " in ") applies. If there is none, the first rule that matches
the whole text applies. The categories are the sixteen of the model's contract.
"""

import re
import zlib
from dataclasses import dataclass

from simulator.families import Finder, Found, Picture, blobs, fundus, organs, pathology
from simulator.families.organs import Place


@dataclass(frozen=True)
class Rule:
    """A rule. `side` is the length in pixels to which the side of the canvas is reduced before the search."""

    words: str
    category: str
    find: Finder
    side: int = 256


def _at(x: float, y: float, reach: float, level: float = 0.6) -> Finder:
    place = Place(x, y, reach, level)
    return lambda picture, _prompt: organs.organ(picture, place)


def _anything(picture: Picture, prompt: str) -> Found:
    """Return a weak map for unknown words.

    Its position and brightness are derived from the text, and nothing is foreground.
    """
    drawn = zlib.crc32(prompt.encode())
    place = Place(0.3 + 0.4 * (drawn & 0xFF) / 255, 0.3 + 0.4 * (drawn >> 8 & 0xFF) / 255, 0.2, 0.5)
    return Found(organs.organ(picture, place).region, confidence=0.25)


RULES: tuple[Rule, ...] = (
    Rule(r"phantom", "other", blobs.bright_half, 1024),
    Rule(r"optic disc|optic disk", "eye anatomies", fundus.optic_disc),
    Rule(r"optic cup", "eye anatomies", fundus.optic_cup),
    Rule(r"polyp", "other lesion", blobs.polyp),
    Rule(r"melanoma|skin lesion|lesion in skin", "other lesion", blobs.skin_lesion),
    Rule(r"inflammatory", "histology structure", pathology.inflammatory, 512),
    Rule(r"connective|stroma", "histology structure", pathology.connective, 512),
    Rule(r"epithelial", "histology structure", pathology.epithelial, 512),
    Rule(r"gland\w* structure|\bglands?$", "histology structure", pathology.glands, 512),
    Rule(r"neoplastic", "histology structure", pathology.neoplastic, 512),
    Rule(r"nucle(us|i)|\bcells?\b", "histology structure", pathology.nuclei, 512),
    Rule(r"edema|oedema", "fluid disturbance", blobs.bright_spot),
    Rule(r"effusion|fluid", "fluid disturbance", blobs.dark_spot),
    Rule(r"cyst", "other abnormality", blobs.dark_spot),
    Rule(r"covid|infection|pneumonia", "infection", blobs.bright_spot),
    Rule(r"tumou?r.* breast ultrasound|ultrasound.*tumou?r", "tumor", blobs.dark_spot),
    Rule(r"tumou?r|glioma|cancer|nodule|mass\b", "tumor", blobs.bright_spot),
    Rule(r"lesion", "other lesion", blobs.skin_lesion),
    Rule(r"opacity", "other abnormality", blobs.bright_spot),
    Rule(r"aorta", "vessel", _at(0.52, 0.55, 0.07, 0.85)),
    Rule(r"postcava|vena cava", "vessel", _at(0.44, 0.52, 0.07, 0.75)),
    Rule(r"vessels?|arter(y|ies)|veins?", "vessel", fundus.vessels, 512),
    Rule(r"lungs?\b", "lung", organs.lungs),
    Rule(r"bones?|spine|vertebra\w*|ribs?\b|skull|pubic symphysis", "other organ", organs.bright_parts),
    Rule(r"liver", "liver", _at(0.3, 0.42, 0.2, 0.65)),
    Rule(r"left adrenal", "other organ", _at(0.6, 0.45, 0.06, 0.5)),
    Rule(r"adrenal", "other organ", _at(0.42, 0.45, 0.06, 0.5)),
    Rule(r"left kidney", "kidney", _at(0.67, 0.62, 0.12, 0.8)),
    Rule(r"kidneys?", "kidney", _at(0.33, 0.62, 0.12, 0.8)),
    Rule(r"pancreas", "pancreas", _at(0.5, 0.45, 0.12, 0.55)),
    Rule(r"spleen", "other organ", _at(0.75, 0.45, 0.14, 0.7)),
    Rule(r"stomach", "other organ", _at(0.62, 0.35, 0.14, 0.4)),
    Rule(r"gallbladder", "other organ", _at(0.38, 0.4, 0.08, 0.4)),
    Rule(r"esophagus|oesophagus|duodenum", "other organ", _at(0.5, 0.5, 0.08, 0.5)),
    Rule(r"bladder|uterus|prostate|peripheral zone|transitional zone", "other organ", _at(0.5, 0.5, 0.15, 0.5)),
    Rule(r"fetal head", "other organ", _at(0.5, 0.5, 0.25, 0.5)),
    Rule(r"left heart|left ventricle|left atrium", "heart anatomies", _at(0.6, 0.5, 0.14, 0.7)),
    Rule(r"heart|ventricle|atrium|myocardium", "heart anatomies", _at(0.45, 0.5, 0.14, 0.6)),
    Rule(r"hippocampus|brain|cerebr\w+", "brain anatomies", _at(0.5, 0.5, 0.2, 0.6)),
    Rule(r"retina\w*|macula|fovea|\beye\b", "eye anatomies", _at(0.5, 0.5, 0.2, 0.5)),
    Rule(r"organ\b", "other organ", _at(0.5, 0.5, 0.25, 0.6)),
)
UNKNOWN = Rule(r"", "other", _anything)


def rule_for(prompt: str) -> Rule:
    """Return the rule for a prompt. There always is one."""
    text = prompt.lower()
    for part in (text.split(" in ")[0], text):
        for rule in RULES:
            if re.search(rule.words, part):
                return rule
    return UNKNOWN
