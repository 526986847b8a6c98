"""Closed lists of words: outputs, intensities, trained targets, codes.

A word of a caller or an endpoint comes in; what it stands for comes out.
Read `trained_targets` first.
"""
