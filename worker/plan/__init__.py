"""Plan: expands the accepted items of a job into frames.

A submission comes in; parts of planned frames and items go to storage, and frames can be claimed.
Read `plan_step` first, then `layout`.
"""
