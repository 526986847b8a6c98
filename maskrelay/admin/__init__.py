"""The operator's commands: `maskrelay doctor`, `audit` and `endpoint`.

A command reads its arguments and the settings, and prints its findings on standard output. Each module adds one
command. The entry points of the Python package name these modules. Read `doctor` first.
"""
