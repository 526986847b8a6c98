"""What the tools of the MCP server return. It contains nothing that identifies a patient or a source.

There are no file names except those that the caller gave, no identifiers of DICOM objects, and no custom ids: an item
has the number of the submitted file.
"""

import difflib
import re
from collections.abc import Sequence

from pydantic import BaseModel, Field

from maskrelay.client.responses import pictures
from maskrelay.contract.records.job import TERMINAL, Counts, Frames, ItemState, JobState
from maskrelay.contract.views.job_views import ErrorShown, ItemList, ItemShown, JobShown, MaskShown
from maskrelay.contract.vocabulary.trained_targets import PromptWarning, TargetShown

_NOTICE = "For research use only, not for clinical use."
#: The custom id that the service gives to an item: the number of the submitted file, and for further items of the same
#: file the number of the item in it.
_NUMBER = re.compile(r"([0-9]+)(?:/[0-9]+)?")
#: The lowest similarity of a target's name to the words of a caller.
_ALIKE = 0.6


class PromptsAnswer(BaseModel):
    prompts: list[str] = Field(description="Prompts on which the model was trained, the best ones first.")


class JobAnswer(BaseModel):
    """A job."""

    notice: str = _NOTICE
    job: str
    state: JobState
    ended: bool
    items: Counts
    frames: Frames
    eta_s: float | None = None
    error: ErrorShown | None = None
    warnings: list[PromptWarning] = Field(description="Prompts on which the model was not trained.")
    flags: dict[str, int] = Field(description="The number of masks with each flag, when the job has ended.")
    page: str = Field(description="The address of the page where a person can look at the job and review its masks.")


class SubmittedAnswer(JobAnswer):
    """A submitted job."""

    files: int = Field(description="The number of files that were submitted. They are numbered from 0.")
    named_files: dict[str, int] = Field(description="The number of each file that was named itself, by its path.")
    skipped: int = Field(description="The number of files in the folders that are not images.")


class MaskAnswer(BaseModel):
    """The masks of one prompt in all frames of an item."""

    prompt: str
    category: str | None
    empty: bool
    frames: int = Field(description="The number of frames whose mask is not empty.")
    area_px: int = Field(description="The area in source pixels, summed over the frames.")
    area_mm2: float | None = Field(description="The same in square millimetres, if the size of the pixels is known.")
    mean_probability: float = Field(description="The mean over the frames whose mask is not empty, from 0 to 1.")
    flags: list[str]


class ItemAnswer(BaseModel):
    item: int | None
    file: int | None = Field(description="The number of the submitted file. None if it is unknown.")
    state: ItemState
    error: ErrorShown | None
    frames: int
    failed_frames: dict[str, int] = Field(description="The number of failed frames by error code.")
    masks: list[MaskAnswer]


class ResultsAnswer(BaseModel):
    """A page of the items of a job."""

    notice: str = _NOTICE
    items: list[ItemAnswer]
    next: str | None = Field(description="Where the next page begins. None after the last page.")
    saved: int | None = Field(None, description="The number of files in the folder, if files were saved.")


def job_answer(job: JobShown, url: str) -> JobAnswer:
    return JobAnswer(
        job=job.id,
        state=job.state,
        ended=job.state in TERMINAL,
        items=job.counts,
        frames=job.frames,
        eta_s=job.eta_s,
        error=job.error,
        warnings=job.warnings,
        flags=job.flags,
        page=f"{url}/#/jobs/{job.id}",
    )


def results_answer(page: ItemList, saved: int | None) -> ResultsAnswer:
    return ResultsAnswer(items=[_item(item) for item in page.items], next=page.next, saved=saved)


def _item(item: ItemShown) -> ItemAnswer:
    number = _NUMBER.fullmatch(item.custom_id)
    frames = [frame for _, frame in pictures(item)]
    failed: dict[str, int] = {}
    for frame in frames:
        if frame.error is not None:
            failed[frame.error.code] = failed.get(frame.error.code, 0) + 1
    by_prompt: dict[str, list[MaskShown]] = {}
    for frame in frames:
        for mask in frame.masks:
            by_prompt.setdefault(mask.prompt, []).append(mask)
    return ItemAnswer(
        item=item.item,
        file=int(number[1]) if number else None,
        state=item.state,
        error=item.error,
        frames=len(frames),
        failed_frames=failed,
        masks=[_mask(masks) for masks in by_prompt.values()],
    )


def _mask(masks: Sequence[MaskShown]) -> MaskAnswer:
    """Return the masks of one prompt as one answer."""
    seen = [mask for mask in masks if not mask.empty]
    areas = [mask.area_mm2 for mask in masks if mask.area_mm2 is not None]
    return MaskAnswer(
        prompt=masks[0].prompt,
        category=masks[0].category,
        empty=not seen,
        frames=len(seen),
        area_px=sum(mask.area_px for mask in masks),
        area_mm2=round(sum(areas), 3) if len(areas) == len(masks) else None,
        mean_probability=round(sum(mask.mean_probability for mask in seen) / len(seen), 4) if seen else 0.0,
        flags=sorted({flag for mask in masks for flag in mask.flags}),
    )


def best_prompts(targets: Sequence[TargetShown], words: str | None, most: int) -> PromptsAnswer:
    """Return the prompts whose target, site or modality the words name, the most similar ones first.

    Without words, all prompts are returned in their order.
    """
    if not words or not words.strip():
        return PromptsAnswer(prompts=[target.prompt for target in targets[:most]])
    ranked = sorted(((_likeness(target, words), target.prompt) for target in targets), key=lambda one: -one[0])
    return PromptsAnswer(prompts=[prompt for likeness, prompt in ranked if likeness >= _ALIKE][:most])


def _likeness(target: TargetShown, words: str) -> float:
    """Return the similarity of the words to a name of the target, plus the share of the words that the prompt has."""
    asked = re.findall(r"\w+", words.casefold())
    named = set(re.findall(r"\w+", " ".join([target.prompt, *target.synonyms]).casefold()))
    text = " ".join(word for word in asked if word != "in")
    names = [name.casefold() for name in (target.target, target.prompt, *target.synonyms)]
    alike = max(difflib.SequenceMatcher(None, text, name).ratio() for name in names)
    return alike + sum(word in named for word in asked) / max(1, len(asked))
