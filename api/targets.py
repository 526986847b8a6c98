"""`GET /v1/prompts`: the targets that the model was trained to find."""

from typing import Annotated

from fastapi import Query

from maskrelay.contract.targets import TargetList, targets_of

Word = Annotated[str | None, Query(max_length=40)]


def list_prompts(modality: Word = None, site: Word = None) -> TargetList:
    """List the targets that the model was trained on, each with a prompt in the form used in training.

    `modality` is CT, MRI, X-ray, ultrasound, pathology, fundus, OCT, dermoscopy, endoscope, or a DICOM modality code.
    An unknown modality or site returns an empty list.
    """
    return TargetList(prompts=targets_of(modality, site))
