"""Assemble: make the files of whole items.

From the outcomes of an item, it makes NIfTI files, DICOM SEG, contact sheets and outlines, and stores
them. Read `assemble_step` first.
"""
