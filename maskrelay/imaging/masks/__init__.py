"""Masks: from probabilities to yes and no, and what is measured of them.

Probability maps come in; masks, run lengths, measures and checks come out.
Read `mask` first.
"""
