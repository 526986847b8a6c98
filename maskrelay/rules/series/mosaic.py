"""Siemens mosaics: images that show all slices of a volume side by side."""

from maskrelay.contract.records.dicom_facts import DicomFacts


def shows_mosaic(facts: DicomFacts) -> bool:
    """Return whether the object consists of one image that is a mosaic.

    The header contains the position of the mosaic, and not those of its slices. Its masks can therefore not form a
    volume or a SEG.
    """
    marked = "MOSAIC" in (word.upper() for word in facts.image_type) or (facts.mosaic or 0) > 1
    return facts.frames == 1 and marked
