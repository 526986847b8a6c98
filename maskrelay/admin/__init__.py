"""The commands of an operator: `maskrelay doctor`, `audit`, `endpoint`.

Arguments and settings come in; findings come out on standard output. Each module adds its command by an entry point.
Read `doctor` first.
"""
