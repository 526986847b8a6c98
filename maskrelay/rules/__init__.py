"""Decisions without side effects.

The functions get all the data that they need as arguments, and return a decision. They do no I/O, read no clock and do
not use NumPy. Read `lifecycle` first, then `retry`.
"""
