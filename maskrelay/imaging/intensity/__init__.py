"""Conversion of deep samples to 8 bits, by windows, presets and percentiles.

The modules convert a plane of any type to an image of 8 bits.
Read `window` first.
"""
