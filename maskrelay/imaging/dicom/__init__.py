"""Reading of DICOM objects.

The modules read the facts in the header of an object, and its frames as planes, one at a time.
Read `facts` first, then `planes`.
"""

from maskrelay.imaging.dicom.facts import read_facts
from maskrelay.imaging.dicom.header import looks_like_dicom
from maskrelay.imaging.dicom.planes import DicomPlanes, open_planes

__all__ = ["DicomPlanes", "looks_like_dicom", "open_planes", "read_facts"]
