"""Worker processes: the Celery application, its tasks, the child processes, and their supervision.

A worker runs the stages of its role until SIGTERM. Read `celery_app` first, then `tasks` and `child`.
"""
