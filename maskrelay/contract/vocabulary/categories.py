"""The categories that are consistent with a prompt. The endpoint returns a category with each mask.

A mask with a category that is not consistent with its prompt gets a flag.
"""

import re

#: Patterns for the target in a prompt, each with the categories that are consistent with it. A target that matches no
#: pattern is considered unknown.
_FITTING: tuple[tuple[str, frozenset[str]], ...] = (
    (
        r"tumou?r|cancer|carcinoma|glioma|melanoma|neoplas|malignan|polyp|nodule|lesion|cyst|enhancing",
        frozenset({"tumor", "other lesion", "other abnormality", "histology structure"}),
    ),
    (r"covid|infection|pneumonia|opacity", frozenset({"infection", "other lesion", "other abnormality"})),
    (r"o?edema|effusion|fluid", frozenset({"fluid disturbance", "other abnormality", "other lesion"})),
    (r"\bcells?\b|nucle(us|i)|gland\w* structure|stroma|epithel", frozenset({"histology structure"})),
    (r"adrenal", frozenset({"other organ"})),
    (r"\bliver\b", frozenset({"liver"})),
    (r"\blungs?\b", frozenset({"lung"})),
    (r"\bkidneys?\b", frozenset({"kidney"})),
    (r"\bpancreas\b", frozenset({"pancreas"})),
    (r"\bheart\b|ventricle|atrium|myocardium", frozenset({"heart anatomies"})),
    (r"hippocampus", frozenset({"brain anatomies"})),
    (r"optic (disc|disk|cup)|\bretina|fovea|macula", frozenset({"eye anatomies"})),
    (r"\baorta\b|vena cava|postcava|vessels?\b|arter(y|ies)\b|\bveins?\b", frozenset({"vessel"})),
    (
        r"spleen|stomach|gall ?bladder|o?esophagus|duodenum|\bbladder\b|uterus|prostate|fetal head|symphysis",
        frozenset({"other organ"}),
    ),
)
#: The categories that do not name a structure. They are inconsistent with every prompt.
_NOTHING = frozenset({"background", "others"})
#: The categories that are consistent with every prompt.
_ANY = frozenset({"other"})


def at_odds(prompt: str, category: str | None) -> bool:
    """Return whether the category is inconsistent with the target of the prompt.

    The target is the text before " in ". If the target is unknown, every category that names a structure is consistent
    with it. A missing category and the category `other` are consistent with every prompt.
    """
    word = (category or "").strip().lower()
    if word in _NOTHING:
        return True
    if not word or word in _ANY:
        return False
    target = prompt.lower().split(" in ")[0]
    fitting = next((fits for words, fits in _FITTING if re.search(words, target)), None)
    return fitting is not None and word not in fitting
