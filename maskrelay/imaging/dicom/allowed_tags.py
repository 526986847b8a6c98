"""The tags that are read from a DICOM object. All other tags, such as free text, are never read.

Tags that identify the patient are read only to compute hashes, and times are read only to compare them.
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
    "PixelAspectRatio",
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

#: Two private elements of Siemens. The first reserves a block of elements, and the second contains the number of slices
#: in a mosaic.
MOSAIC_CREATOR, MOSAIC_COUNT = 0x00190010, 0x0019100A

_PRIVATE = (*PRIVATE, MOSAIC_CREATOR, MOSAIC_COUNT)
WANTED = frozenset((*(tag for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None), *_PRIVATE))
