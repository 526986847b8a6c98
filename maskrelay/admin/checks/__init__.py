"""The checks of `maskrelay doctor`: one module for each thing that the service depends on.

Each check reads the settings and yields findings. A finding about a problem has a hint. Read `diagnosis` first.
"""
