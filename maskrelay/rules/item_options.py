"""The options that an item may have of its own: how they are parsed, and what applies to an item of a job."""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from maskrelay.contract.records.job import BurnedIn, ItemOptions, PixelOptions, SliceAxis, Submission
from maskrelay.contract.vocabulary.intensity_names import Intensity, read_intensity
from maskrelay.contract.vocabulary.outputs import OF_JOB, ItemOutput, Output
from maskrelay.errors import Malformed, OptionInvalid, OptionUnknown

#: The options that only a whole job can have.
OF_WHOLE_JOB = frozenset(
    {
        *("group_series", "partial_series", "identifiers", "callback", "lane", "deadline", "endpoint"),
        *("one_prompt_per_request", "reuse", "dry_run", "max_rejected_share", "metadata"),
        *("store_to", "store_prefix", "store_beside"),
    }
)


class Expected(NamedTuple):
    """The sentence with which an error says what the value of an option must be."""

    words: str


def one_of(kind: Any) -> Expected:
    return Expected(f"Expected one of {', '.join(get_args(kind))}.")


TRUE_OR_FALSE = Expected("Expected true or false.")
OUTPUTS: Any = Field(description="The files to create. The default depends on the kind of source.")
SQUARE_PIXELS: Any = Field(description="Stretch pixels that are not square, so that they become square.")
BURNED_IN: Any = Field(description="What to do with images that may contain burned-in text.")
IntensityAsked = Annotated[
    Annotated[Intensity, BeforeValidator(read_intensity)] | None,
    Field(
        description="The name of a preset, or limits in the units of the source. "
        "The default depends on the modality and the body part."
    ),
]
SliceAxisAsked = Annotated[
    SliceAxis | None,
    Expected("Expected one of axial, coronal, sagittal, or the number of a voxel axis (0, 1 or 2)."),
    Field(description="The axis along which a NIfTI volume is cut into slices. The default is axial."),
]
VolumeAsked = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Expected("Expected the index of a volume, starting from 0."),
    Field(description="The index of the volume in a 4-D NIfTI file."),
]


class ItemOptionsAsked(BaseModel):
    """The options of one item, which override those of the job.

    If an option is left out or null, that of the job applies. If the job does not have it either, the default applies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    outputs: Annotated[
        Annotated[list[ItemOutput], Field(min_length=1)] | None,
        Expected(
            f"Expected a list of {', '.join(get_args(ItemOutput))}. "
            f"The outputs {' and '.join(sorted(OF_JOB))} belong to the options of the job."
        ),
        OUTPUTS,
    ] = None
    intensity: IntensityAsked = None
    slice_axis: SliceAxisAsked = None
    volume: VolumeAsked = None
    square_pixels: Annotated[bool | None, TRUE_OR_FALSE, SQUARE_PIXELS] = None
    burned_in: Annotated[BurnedIn | None, one_of(BurnedIn), BURNED_IN] = None


@dataclass(frozen=True, slots=True)
class EffectiveOptions:
    """The options that apply to one item."""

    #: The requested outputs, including those of the whole job.
    outputs: tuple[Output, ...]
    pixels: PixelOptions


def effective_options(submission: Submission, own: ItemOptions | None) -> EffectiveOptions:
    """Return the options that apply to an item with the options `own`."""
    if own is None:
        return EffectiveOptions(submission.outputs, submission.pixels)
    names = ItemOptions.model_fields.keys() & PixelOptions.model_fields.keys()
    changed = {name: value for name in names if (value := getattr(own, name)) is not None}
    outputs = submission.outputs
    if own.outputs is not None:
        outputs = (*own.outputs, *(output for output in submission.outputs if output in OF_JOB))
    return EffectiveOptions(outputs, submission.pixels.model_copy(update=changed))


def read_item_options(value: Any, at: str) -> ItemOptions | None:
    """Return the options of an item, which are at the JSON pointer `at`, or None if it has none.

    Raises Malformed, OptionUnknown or OptionInvalid.
    """
    if not isinstance(value, dict):
        raise Malformed("Expected a JSON object.", pointer=at)
    for name in value:
        if name in OF_WHOLE_JOB:
            raise OptionUnknown(of_whole_job(name), pointer=f"{at}/{name}")
        if name not in ItemOptionsAsked.model_fields:
            known = ", ".join(sorted(ItemOptionsAsked.model_fields))
            raise OptionUnknown(f"Unknown name. Expected one of {known}.", pointer=at)
    try:
        asked = ItemOptionsAsked.model_validate(value)
    except ValidationError as error:
        place = error.errors()[0]
        name = str(place["loc"][0])
        expected = what_is_expected(place, ItemOptionsAsked.model_fields[name])
        raise OptionInvalid(expected, pointer=f"{at}/{name}") from None
    given = {name: option for name in ItemOptions.model_fields if (option := getattr(asked, name)) is not None}
    if asked.outputs is not None:
        given["outputs"] = tuple(output for output in get_args(ItemOutput) if output in asked.outputs)
    return ItemOptions(**given) if given else None


def of_whole_job(name: str) -> str:
    """Return the sentence with which an option is refused that only a whole job can have."""
    return f"`{name}` is an option of the whole job, not of an item."


def what_is_expected(error: ErrorDetails, option: FieldInfo) -> str:
    """Return the sentence that says what the value of an option must be. It does not quote the value."""
    if error["type"] == "value_error":  # a validator raised it with its own message
        return str(error["ctx"]["error"])
    return next(part.words for part in option.metadata if isinstance(part, Expected))
