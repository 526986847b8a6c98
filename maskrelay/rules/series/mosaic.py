"""Siemens mosaics: the slices of a volume side by side in one image, with the position of the mosaic itself."""

from maskrelay.contract.records.dicom_facts import DicomFacts


def shows_mosaic(facts: DicomFacts) -> bool:
    """Return whether the object's one image is a mosaic.

    A mosaic has no position in space, so its masks make no volume and no SEG.
    """
    marked = "MOSAIC" in (word.upper() for word in facts.image_type) or (facts.mosaic or 0) > 1
    return facts.frames == 1 and marked
