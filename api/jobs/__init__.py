"""Operations on existing jobs: reading, waiting, cancelling and deleting.

From the id of a job, these modules find its state, its items, its files and its deliveries. Read `job_handlers` first,
then `lookup`.
"""
