"""The tags that are read of an object. All others, such as free text, never leave the file.

Tags that identify the patient are read in order to be hashed, and times in order to be compared.
"""

from pydicom.datadict import tag_for_keyword

from maskrelay.imaging.dicom.marks import KEYWORDS, PRIVATE

_KEYWORDS = (
    *KEYWORDS,
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "SeriesNumber",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "DirectoryRecordSequence",
    "Modality",
    "PresentationLUTShape",
    "ICCProfile",
    "SpecimenLabelInImage",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows",
    "RealWorldValueMappingSequence",
    "BodyPartExamined",
    "ConversionType",
    "BurnedInAnnotation",
    "InstanceNumber",
    "ImagesInAcquisition",
    "NumberOfSeriesRelatedInstances",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)

#: Siemens' private element of the number of slices in a mosaic, and the element that reserves its block.
MOSAIC_CREATOR, MOSAIC_COUNT = 0x00190010, 0x0019100A

_PRIVATE = (*PRIVATE, MOSAIC_CREATOR, MOSAIC_COUNT)
WANTED = frozenset((*(tag for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None), *_PRIVATE))
