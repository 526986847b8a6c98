"""Segment: claims frames, scores them at an endpoint, and records their outcomes.

Planned frames come in; outcome parts and the files of frames go to storage.
Read `loop` first, then `frame`.
"""
