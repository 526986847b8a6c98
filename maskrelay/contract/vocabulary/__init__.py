"""The fixed lists of names: outputs, intensity presets, targets of the model, and codes.

Each module contains a list and the functions that look up a name or a prompt of a caller in it, or a category that an
endpoint returned.
Read `trained_targets` first.
"""
