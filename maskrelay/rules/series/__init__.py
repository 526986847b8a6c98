"""DICOM series: from the headers of objects to stacks and items.

Headers come in; ordered stacks, their affine matrices and the items of a job come out.
Read `arrangement` first, then `stacks`.
"""
