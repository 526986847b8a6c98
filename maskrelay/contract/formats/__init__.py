"""The detection of file formats by their first bytes.

From the first bytes of a source, the modules return its kind and its header. They use no arrays.
Read `sniff` first.
"""
