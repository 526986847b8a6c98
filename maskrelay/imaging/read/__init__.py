"""Reading sources: images, TIFF, NIfTI, and DICOM by `imaging.dicom`.

A source file comes in; one frame at a time comes out as a plane or a picture.
Read `source` first.
"""
