"""DICOM objects.

A file comes in; facts of its header and one frame after another as planes come out.
Read `facts` first, then `planes`.
"""

from maskrelay.imaging.dicom.facts import read_facts
from maskrelay.imaging.dicom.header import looks_like_dicom
from maskrelay.imaging.dicom.planes import DicomPlanes, open_planes

__all__ = ["DicomPlanes", "looks_like_dicom", "open_planes", "read_facts"]
