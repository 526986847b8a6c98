"""Reading of sources: still images, TIFF and NIfTI. DICOM is read by `imaging.dicom`.

The modules read one frame of a source at a time, and return it as a plane or a picture.
Read `source` first.
"""
