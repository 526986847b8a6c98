"""Worker processes: Celery, its tasks, and the processes around them.

A role and the environment come in; a process runs the stages of that role until SIGTERM.
Read `celery_app` first, then `tasks` and `child`.
"""
