"""Decisions without side effects.

These functions get facts as arguments and return a decision. They do no I/O, read no clock and use no arrays. Read
`lifecycle` first, then `retry`.
"""
