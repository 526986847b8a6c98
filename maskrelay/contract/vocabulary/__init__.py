"""The fixed lists of names: outputs, intensity presets, targets of the model, and codes.

Each module contains a list and the functions that search the list: for a name or a prompt from a caller, or for a
category from an endpoint.
Read `trained_targets` first.
"""
