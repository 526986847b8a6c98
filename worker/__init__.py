"""The workers, with one package for each stage of a job.

Celery delivers wake-ups. A worker that is woken does the work of its role that waits in the ledger, such as planning or
scoring. Read `process.tasks` first, then the `*_step` module of a stage.
"""
