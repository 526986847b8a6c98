"""The workers, with one package for each stage of a job.

Celery delivers wake-ups. A worker then plans, scores, assembles, finishes or delivers what waits in the ledger. Read
`process.tasks` first, then the `*_step` module of a stage.
"""
