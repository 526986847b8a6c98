"""The assemble stage, which makes the files of whole items: NIfTI files, DICOM SEG, contact sheets and outlines.

It makes them from the outcomes of an item, and stores them. Read `assemble_step` first.
"""
