"""Reading of DICOM objects.

The modules read the header of a DICOM object as facts, and each of its frames as a plane, which is an array of pixels.
Read `facts` first, then `planes`.
"""

from maskrelay.imaging.dicom.facts import read_facts
from maskrelay.imaging.dicom.header import looks_like_dicom
from maskrelay.imaging.dicom.planes import DicomPlanes, open_planes

__all__ = ["DicomPlanes", "looks_like_dicom", "open_planes", "read_facts"]
