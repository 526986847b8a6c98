"""The rules that arrange DICOM objects in stacks and items.

From the headers of objects, the modules compute ordered stacks, the affine matrices of the stacks, and the items of a
job.
Read `arrangement` first, then `stacks`.
"""
