"""Worker processes: Celery, its tasks, and the processes around them.

A process runs the stages of its role until SIGTERM. Read `celery_app` first, then `tasks` and `child`.
"""
