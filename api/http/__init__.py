"""HTTP itself, independent of what the API is for.

Connections, headers and cursors come in; deadlines, parsed values and pages come out.
Read `headers` first, then `middleware`.
"""
