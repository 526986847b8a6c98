"""Read DICOM objects: the facts of the header, and the frames as planes, one at a time."""

from maskrelay.imaging.dicom.facts import read_facts
from maskrelay.imaging.dicom.header import looks_like_dicom
from maskrelay.imaging.dicom.planes import DicomPlanes, open_planes

__all__ = ["DicomPlanes", "looks_like_dicom", "open_planes", "read_facts"]
