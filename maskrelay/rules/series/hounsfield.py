"""The rules that decide whether the values of a CT image are Hounsfield units, for which the CT windows are defined.

Sources: DICOM PS3.3 C.11.1.1.2 (RescaleType), C.8.15.2 and C.7.6.16.2.25 (multi-energy CT), UCUM (`[hnsf'U]`).
"""

from maskrelay.contract.records.dicom_facts import DicomFacts

#: The values of RescaleType, and the units of a real world value mapping, that mean Hounsfield units.
_HOUNSFIELD = frozenset({"HU", "HU_MOD", "[HNSF'U]", "HOUNSFIELD"})
#: The values of RescaleType that say nothing about the unit.
_UNSPECIFIED = frozenset({"US", "UNSPECIFIED"})
#: The SOP classes of secondary captures and parametric maps. Their values are in HU only if the header says so.
_DERIVED_CLASSES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.66.4")
#: The values of ImageType for maps of other quantities, in the spellings of the standard and of the vendors.
_OTHER = frozenset(
    {
        "MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "Z_EFF", "ZEFF",
        "EFF_Z", "EFFECTIVE_Z", "EFFECTIVEZ", "RHO", "RHO_Z", "IODINE", "IODINE_MAP", "IODINE MAP", "IODINEMAP",
        "IODINE_DENSITY", "IODINE NO WATER", "IODINE_NO_WATER", "IODINE_SCATTERPLOT", "CALCIUM_SUPP", "URIC_ACID",
        "LUNG_PBV", "PBV", "DENSITY", "PERFUSION", "CBF", "CBV", "MTT", "TTP", "TMAX", "TTD", "TTS", "PERM", "ADC",
    }
)  # fmt: skip
#: The values of ImageType for projections. They are not in HU, although scanners label them so.
_PROJECTIONS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
#: The largest rescale intercept of an image in HU, in which air is at about -1000 HU. If the unit is unspecified, the
#: intercept decides.
_AIR = -900.0


def other_than_hounsfield(facts: DicomFacts) -> str | None:
    """Return the unit or the kind of the values of a CT object if the values are not known to be Hounsfield units.

    Return `unspecified` if the unit is unknown. Return None if the values are Hounsfield units, or if the object is not
    CT.
    """
    if facts.modality != "CT":
        return None
    units = (facts.units or "").upper()
    if units in _HOUNSFIELD:
        return _word(facts, _PROJECTIONS | (_OTHER if facts.image_type[:1] == ("DERIVED",) else frozenset()))
    if units and units not in _UNSPECIFIED:
        return facts.units
    if word := _word(facts, _PROJECTIONS | _OTHER):
        return word
    is_derived = any(facts.sop_class == uid or facts.sop_class.startswith(f"{uid}.") for uid in _DERIVED_CLASSES)
    if is_derived or (units and (facts.rescale is None or facts.rescale[1] > _AIR)):
        return "unspecified"
    return None


def _word(facts: DicomFacts, words: frozenset[str]) -> str | None:
    return next((word for word in facts.image_type[2:] if word.upper() in words), None)
