"""The workers, one package per stage of a job.

Wake-ups come in over Celery; frames are planned, scored, assembled, recorded and delivered.
Read `process.tasks` first, then the `*_step` module of a stage.
"""
