"""Assemble: makes the files of whole items.

The outcomes of an item come in; NIfTI, DICOM SEG, contact sheets and outlines go to storage.
Read `assemble_step` first.
"""
