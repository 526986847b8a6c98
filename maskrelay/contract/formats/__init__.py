"""The detection of file formats by their first bytes.

The modules determine the kind of a source, and parse the headers of NIfTI files. They do not use NumPy.
Read `sniff` first.
"""
