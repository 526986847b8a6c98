"""Jobs that exist: reading, waiting, cancelling, deleting.

The id of a job comes in; its state, items, files and deliveries come out.
Read `job_handlers` first, then `lookup`.
"""
