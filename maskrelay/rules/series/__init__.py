"""The rules that arrange DICOM objects in stacks and items.

From the headers of the objects, these modules compute ordered stacks of slices, the affine matrix of each stack, and
the items of a job. Read `arrangement` first, then `stacks`.
"""
