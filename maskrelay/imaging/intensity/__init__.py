"""Deep samples become bytes: windows, presets and percentiles.

A plane of any type comes in; a picture of 8 bits comes out.
Read `window` first.
"""
