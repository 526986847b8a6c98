"""The operator's commands: `maskrelay doctor`, `audit`, `endpoint` and `recover`.

A command reads its arguments and the environment variables, and prints its findings on standard output. The module of
each command has a function `add`, which an entry point of the Python package names. Read `doctor` first.
"""
