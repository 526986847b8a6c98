"""The rules that decide which whole slide images show tissue. Sources: DICOM PS3.3 C.8.12.4 and C.7.6.22."""

from maskrelay.contract.records.dicom_facts import DicomFacts

_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_LABEL = "LABEL"
_AROUND = frozenset({"OVERVIEW", "LOCALIZER"})


def shows_label(facts: DicomFacts) -> bool:
    """Return whether the image shows, or may show, the label of a slide. Labels contain text.

    If a header states that there is no label in an overview image, it is not trusted.
    """
    words = {word.upper() for word in facts.image_type}
    return _LABEL in words or facts.label_in_image is True or (_is_slide(facts) and bool(words & _AROUND))


def why_not_tissue(facts: DicomFacts) -> str | None:
    """Return the reason why the object is not an image of tissue that can be segmented as a whole, or None if it is
    such an image.
    """
    words = {word.upper() for word in facts.image_type}
    if _LABEL in words or (_is_slide(facts) and words & _AROUND):
        return "the image shows the label of a slide or the whole slide instead of tissue"
    columns, rows = facts.total_matrix or (0, 0)
    if columns > facts.columns or rows > facts.rows:
        return f"the slide of {columns} × {rows} pixels is divided into tiles, which this service does not combine"
    return None


def _is_slide(facts: DicomFacts) -> bool:
    return facts.sop_class == _WHOLE_SLIDE or facts.modality == "SM"
