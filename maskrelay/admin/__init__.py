"""The operator's commands: `maskrelay doctor`, `audit` and `endpoint`.

A command reads its arguments and the settings, and prints its findings on standard output. Each module adds one
command; the package's entry points name them. Read `doctor` first.
"""
