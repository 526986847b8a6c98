"""The data formats of stored records, of the API's responses and of endpoints, and the fixed lists of names.

The modules convert JSON and bytes to immutable objects and back. They do not use NumPy and do no I/O.
Read `records.job` first, then `records.keys`.
"""
