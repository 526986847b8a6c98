"""Masks of frames, with their run lengths, measures and checks.

The modules compute all of these from probability maps.
Read `mask` first.
"""
