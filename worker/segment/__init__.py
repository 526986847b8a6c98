"""Segment: claim frames, score them at an endpoint, and record their outcomes.

It reads planned frames, and stores outcome parts and the files of frames. Read `loop` first, then `frame`.
"""
