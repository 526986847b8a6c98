"""The fixed lists of names: outputs, intensity presets, trained targets, codes.

Each module looks up a name or prompt that a caller sent, or a category that an endpoint returned.
Read `trained_targets` first.
"""
