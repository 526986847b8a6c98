"""What `maskrelay doctor` checks: a module for each thing the service depends on.

Settings come in; findings come out, each with a hint where something is wrong.
Read `diagnosis` first.
"""
