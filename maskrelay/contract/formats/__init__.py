"""File formats recognized from their first bytes, without an array.

The first bytes of a source come in; its kind and header come out.
Read `sniff` first.
"""
