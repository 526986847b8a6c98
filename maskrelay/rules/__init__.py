"""Decisions without effects.

Its functions receive the known facts and return what is to be done. They do no I/O, read no clock and use no arrays.
Read `lifecycle` first, then `retry`.
"""
