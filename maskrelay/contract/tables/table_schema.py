"""The columns of the result tables.

A column is never renamed, and its type never changes. A new column is added at the end of its table. Every column is
flat, because some readers drop columns of structs, lists or maps. A value that is nested is stored as JSON text, in a
column whose name ends in `_json`. Where the index of the NCI Imaging Data Commons (IDC) has a column for a value, the
column has the same name here.
"""

from dataclasses import dataclass
from typing import Final, Literal

#: The types of Delta tables that are used. A `long` has 64 bits. A `timestamp` is a point in time, stored in UTC with
#: microseconds.
ColumnType = Literal["string", "long", "double", "boolean", "timestamp"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Every column can be null."""

    name: str
    type: ColumnType
    #: A sentence for the documentation, and for the column's comment in the table.
    about: str
    #: Whether each file of the table has statistics about the column, by which readers skip files.
    filtered: bool = False


def _text(name: str, about: str, *, filtered: bool = False) -> Column:
    return Column(name, "string", about, filtered)


def _number(name: str, about: str, *, filtered: bool = False) -> Column:
    return Column(name, "long", about, filtered)


def _measure(name: str, about: str, *, filtered: bool = False) -> Column:
    return Column(name, "double", about, filtered)


def _truth(name: str, about: str) -> Column:
    return Column(name, "boolean", about)


def _time(name: str, about: str) -> Column:
    return Column(name, "timestamp", about)


_RUN = _text("run", "The id of the job.", filtered=True)
_FINAL = _truth(
    "final",
    "Whether the job has ended. While it runs, flags that depend on other masks are missing, and the row is replaced "
    "at the end.",
)
_ITEM: Final = (
    _RUN,
    _number("item", "The number of the item in the job, counted from 0.", filtered=True),
    _text("custom_id", "The item's `custom_id`.", filtered=True),
    _text(
        "source",
        "The URL of the source, if it was submitted by reference. Null unless `options.identifiers` is `uids`, because "
        "a URL can contain identifiers.",
    ),
    _text("source_name", "The file name of the source. Null where `source` is null because of `options.identifiers`."),
)
_ALGORITHM: Final = (
    _text("AlgorithmName", "The name of the model, `MedImageParse`.", filtered=True),
    _text("AlgorithmType", "The kind of algorithm in the terms of DICOM, `AUTOMATIC`."),
    _text("model_version", "The version of the model that the endpoint declares.", filtered=True),
    _text("endpoint", "The name of the endpoint."),
)
_STUDY = _text("StudyInstanceUID", "The study, in the form that `options.identifiers` chose.", filtered=True)
_SEGMENTED = _text(
    "segmented_SeriesInstanceUID", "The segmented series, in the form that `options.identifiers` chose.", filtered=True
)
_PROMPT: Final = (
    _number("prompt_number", "The number of the prompt in the item, counted from 0.", filtered=True),
    _text("prompt", "The prompt.", filtered=True),
    _text("category", "The endpoint's own term for the object.", filtered=True),
)

MASKS: Final = (
    *_ITEM,
    _STUDY,
    _SEGMENTED,
    _text("segmented_SOPInstanceUID", "The DICOM object of the frame, in the form that `options.identifiers` chose."),
    _number("frame", "The number of the frame in the item, counted from 0.", filtered=True),
    _number("run_frame", "The number of the frame in the job, counted from 0.", filtered=True),
    *_PROMPT,
    *_ALGORITHM,
    _text("intensity", "The intensity window that was applied."),
    _number("height", "The height of the frame in pixels."),
    _number("width", "The width of the frame in pixels."),
    _truth("empty", "Whether the mask is empty."),
    _number("area_px", "The area in pixels.", filtered=True),
    _measure("area_mm2", "The area in square millimetres. Null if the pixel spacing is unknown.", filtered=True),
    _number("bbox_x", "The left column of the bounding box. Null if the mask is empty, as in the next five columns."),
    _number("bbox_y", "The top row of the bounding box."),
    _number("bbox_width", "The width of the bounding box in pixels."),
    _number("bbox_height", "The height of the bounding box in pixels."),
    _measure("centroid_x", "The mean column of the mask's pixels. (0, 0) is the centre of the top left pixel."),
    _measure("centroid_y", "The mean row of the mask's pixels."),
    _number("components", "The number of connected components."),
    _measure(
        "mean_probability",
        "The mean probability inside the mask, from 0 to 1. Of an empty mask, the mean of the whole frame.",
        filtered=True,
    ),
    _text("border", "The sides of the frame that the mask touches, separated by commas."),
    _text("flags", "The flags of the mask, separated by commas. An empty string if there are none.", filtered=True),
    _truth("geometry_ok", "Whether the check of the mask's position succeeded. Null if it says nothing."),
    _measure("geometry_shift_px", "The distance that this check found, in pixels."),
    _text("rle_counts", "The mask as compressed run lengths of COCO. Their size is `[height, width]`."),
    _text("link", "The URL of the mask as a PNG file. Null if no such file was requested."),
    _number("attempts", "The number of attempts at the frame."),
    _FINAL,
)

SEGMENTS: Final = (
    *_ITEM,
    _STUDY,
    _SEGMENTED,
    *_PROMPT,
    _text("SeriesInstanceUID", "The series of the DICOM SEG. Null without a SEG.", filtered=True),
    _number("SegmentNumber", "The number of the segment in the DICOM SEG, counted from 1. Null without a SEG."),
    _text("SegmentationType", "The type of the DICOM SEG, `BINARY`. Null without a SEG."),
    *_ALGORITHM,
    _text("SegmentedPropertyCategory_CodeValue", "The category of the segment (DICOM PS3.16, CID 7150)."),
    _text("SegmentedPropertyCategory_CodingSchemeDesignator", "The coding scheme of the category."),
    _text("SegmentedPropertyCategory_CodeMeaning", "The meaning of the category."),
    _text("SegmentedPropertyType_CodeValue", "The type of the segment (CID 7151).", filtered=True),
    _text("SegmentedPropertyType_CodingSchemeDesignator", "The coding scheme of the type."),
    _text("SegmentedPropertyType_CodeMeaning", "The meaning of the type."),
    _number("frames", "The number of frames that were segmented."),
    _number("slices", "The number of frames in which the mask is not empty.", filtered=True),
    _number("first_slice", "The first of these frames, counted from 0 in the item."),
    _number("last_slice", "The last of these frames."),
    _number("area_px", "The sum of the areas in pixels."),
    _measure("area_mm2", "The sum of the areas in square millimetres. Null if the pixel spacing is unknown."),
    _measure(
        "volume_ml",
        "The volume in millilitres. Null unless the frames are the slices of a volume, and all of them were segmented.",
        filtered=True,
    ),
    _number("components", "The sum of the numbers of connected components in each frame."),
    _measure("mean_probability", "The mean probability inside the mask, over all frames.", filtered=True),
    _text("flags", "The flags of the masks, each once, separated by commas.", filtered=True),
    _text("seg_link", "The URL of the DICOM SEG. Null if there is none."),
    _FINAL,
)

ITEMS: Final = (
    *_ITEM,
    _text("members_json", "The `custom_id` of each upload from which the item was made, if there are several."),
    _text("state", "The state of the item: `succeeded`, `partial`, `failed` or `cancelled`.", filtered=True),
    _text("error_code", "The error code of the first failed frame.", filtered=True),
    _text("error_detail", "The sentence that explains the error."),
    _text("errors_json", "The errors of the files that could not be made, by output."),
    _STUDY,
    _text("SeriesInstanceUID", "The series, in the form that `options.identifiers` chose.", filtered=True),
    _text("FrameOfReferenceUID", "The frame of reference, in the same form."),
    _text("Modality", "The modality of a DICOM item.", filtered=True),
    _text("kind", "The kind of the source: `still`, `dicom`, `nifti` and so on."),
    _number("frames", "The number of frames."),
    _number("frames_succeeded", "The number of frames that succeeded."),
    _number("frames_failed", "The number of frames that failed."),
    _number("height", "The height of the first segmented frame in pixels."),
    _number("width", "The width of the first segmented frame in pixels."),
    _measure(
        "slice_distance_mm",
        "The distance between slices in millimetres, if the frames are those of a volume. Null for a single slice.",
    ),
    _text("grid_json", "The grid of the volume: its shape, its affine (RAS+, millimetres) and its slices."),
    _text("intensity", "The intensity window of the first segmented frame."),
    _text("findings_json", "Observations that were made during planning, by code."),
    *_ALGORITHM,
    _measure("suspicion", "How likely it is that a mask of the item is wrong. Review higher values first."),
    _text("flags", "The flags of the item's masks, each once, separated by commas.", filtered=True),
    _text("files_json", "The URL of each file of the whole item, by output."),
    _FINAL,
)

RUNS: Final = (
    _RUN,
    _text("tenant", "The tenant."),
    _text("state", "The state of the job.", filtered=True),
    _text("lane", "The queue of the job."),
    _time("created_at", "When the job was accepted."),
    _time("started_at", "When its first frame was claimed."),
    _time("finished_at", "When its result was written."),
    _number("items", "The number of items. While the job runs, of submitted items."),
    _number("items_succeeded", "The number of items that succeeded."),
    _number("items_partial", "The number of items of which a part succeeded."),
    _number("items_failed", "The number of items that failed."),
    _number("items_cancelled", "The number of items that were cancelled."),
    _number("frames", "The number of frames."),
    _number("frames_succeeded", "The number of frames that succeeded."),
    _number("frames_failed", "The number of frames that failed."),
    _number("frames_cancelled", "The number of frames that were cancelled."),
    _number("rescored", "The number of scores that were made again after a failure."),
    _text("reason", "Why the job was cancelled."),
    _text("error_code", "The error code of a job that ended without a result."),
    _text("identifiers", "The form of UIDs: `uids`, `hashed`, `site` or `none`."),
    _text("outputs_json", "The requested outputs."),
    _text("options_json", "The options that determine the pixels of the frames."),
    _text("software_json", "The versions of the software."),
    _text("pixels_json", "The fixed properties of the canvas and of the masks."),
    _text("endpoints_json", "The endpoints that were configured when the job ended."),
    _text("timings_json", "The duration of each stage in seconds."),
    _text("flags_json", "The number of masks with each flag."),
    _text("metadata_json", "The caller's `metadata`."),
    _text("redrive_of", "The job whose failed items this job processed again."),
    _text("notice", "The notice that results are for research use only."),
    _FINAL,
)

TABLES: Final[dict[str, tuple[Column, ...]]] = {"masks": MASKS, "segments": SEGMENTS, "items": ITEMS, "runs": RUNS}
