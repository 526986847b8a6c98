import json

import pytest
from pydicom.sr.codedict import codes as dictionary

from maskrelay.contract.vocabulary import segment_codes
from maskrelay.contract.vocabulary.segment_codes import (
    Code,
    SegmentCodes,
    codes_of,
    read_code_table,
)
from maskrelay.contract.vocabulary.trained_targets import SYNONYMS, TARGETS
from maskrelay.errors import CodesInvalid

OWN = {
    "category": {"value": "49755003", "meaning": "Morphologically Abnormal Structure"},
    "type": {"value": "89452002", "scheme": "SCT", "meaning": "Polyp"},
}


@pytest.mark.parametrize(
    ("prompt", "category", "value"),
    [
        ("liver", "liver", "10200004"),
        ("liver", None, "10200004"),
        ("liver tumor in abdomen CT", "liver", "108369006"),
        ("optic disc in retinal fundus", "eye anatomies", "81745001"),
        ("optic disc in retinal fundus", "background", "81745001"),
        ("left heart ventricle in cardiac MRI", "heart anatomies", "80891009"),
        ("aorta in abdomen CT", "vessel", "59820001"),
        ("spleen", "other organ", "78961009"),
        ("spleen in abdomen CT", "liver", "78961009"),
        ("gall bladder in abdomen CT", "other organ", "28231008"),
        ("urinary bladder in abdomen CT", None, "89837001"),
        ("left adrenal gland in abdomen CT", None, "23451007"),
        ("lung opacity in chest X-ray", "lung", "52988006"),
        ("nodule in lung CT", None, "27925004"),
        ("COVID-19 infection in chest X-ray", "infection", "52988006"),
        ("pleural effusion", "tumor", "41699000"),
        ("edema in retinal OCT", "fluid disturbance", "79654002"),
        ("fluid", "fluid disturbance", "41699000"),
        ("neoplastic cells in breast pathology", "histology structure", "4421005"),
        ("nuclei", "histology structure", "84640000"),
        ("glandular structure in colon pathology", "histology structure", "85756007"),
        ("non-neoplastic polyp in colon endoscope", "tumor", "52988006"),
        ("something else", "others", "91772007"),
    ],
)
def test_the_prompts_words_come_before_the_category_word(prompt, category, value):
    assert codes_of(prompt, category).type.value == value


@pytest.mark.parametrize("prompt", sorted({target.prompt for target in TARGETS} | set(SYNONYMS)))
@pytest.mark.parametrize("category", [None, "others", "other organ"])
def test_every_prompt_of_the_models_published_list_has_a_code_of_its_own(prompt, category):
    found = codes_of(prompt.replace("{organ}", "breast"), category)
    assert found.type.meaning not in {"Organ", "Tissue"} or "glandular" in prompt


def test_a_target_keeps_its_kind_whatever_the_model_takes_it_for():
    for target in TARGETS:
        alone = codes_of(target.target, None)
        assert {codes_of(target.target, word) for word in ("liver", "tumor", "others")} == {alone}


def test_every_code_is_one_of_the_standards_under_its_own_meaning():
    table = [found for found in vars(segment_codes).values() if isinstance(found, SegmentCodes)]
    assert len(table) > 15
    for code in (code for found in table for code in (found.category, found.type)):
        known = getattr(dictionary.SCT, "".join(word[0].upper() + word[1:] for word in code.meaning.split()))
        assert (code.value, code.scheme) == (known.value, known.scheme_designator)


def test_a_users_table_comes_first_without_regard_to_case_and_blanks():
    table = read_code_table(json.dumps({"  Colon   POLYP": OWN}))
    assert codes_of("colon polyp", "other lesion", table).type == Code(value="89452002", meaning="Polyp")
    assert codes_of("liver", "liver", table).type.value == "10200004"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        b"\xff\xfe",
        '{"a": {}}',
        json.dumps({"a": {**OWN, "kind": 1}}),
        json.dumps({"a": {**OWN, "type": {"value": "1" * 17, "meaning": "too long a value"}}}),
        json.dumps({"a": {**OWN, "type": {"value": "1", "meaning": "two\\values"}}}),
        json.dumps({"a": {**OWN, "type": {"value": "", "meaning": "nothing"}}}),
        json.dumps({"a": OWN, "A ": OWN}),
        json.dumps({" ": OWN}),
        " " * (1 << 21),
    ],
)
def test_a_table_that_cannot_be_used_is_a_coded_error(text):
    with pytest.raises(CodesInvalid):
        read_code_table(text)


def test_the_error_names_the_place_and_quotes_no_value():
    with pytest.raises(CodesInvalid) as caught:
        read_code_table(
            json.dumps({"John Doe": {**OWN, "type": {"value": "secret-and-much-too-long", "meaning": "x"}}})
        )
    assert "type.value" in caught.value.detail
    assert "secret" not in caught.value.detail
    assert "John" not in caught.value.detail
