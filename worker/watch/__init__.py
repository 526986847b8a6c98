"""Watches: every folder that appears below a watched prefix becomes exactly one job.

A pass lists the prefix of each watch that is due, and submits the folders that are complete. Read `watch_pass` first.
"""
