"""The workers, with one package for each stage of a job.

Celery delivers wake-ups. A worker that is woken looks in the ledger for waiting work of its role, such as planning or
scoring, and does it. Read `process.tasks` first, then the main module of a stage: a `*_step` module, `segment.loop`,
`deliver.event_delivery`, `sweep.sweep_pass` or `cleanup.cleanup_pass`.
"""
