"""Decisions without effects.

What is known comes in; what is to be done comes out. No I/O, no clock of its own, no arrays.
Read `lifecycle` first, then `retry`.
"""
