"""Calls of the rules that group objects into stacks."""

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.contract.records.series_stack import SeriesStack
from maskrelay.rules.series.stacks import group


def grouped(objects: list[DicomFacts]) -> list[SeriesStack]:
    return group(list(enumerate(objects)))


def only(objects: list[DicomFacts]) -> SeriesStack:
    [stack] = grouped(objects)
    return stack
