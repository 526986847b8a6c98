"""The data formats that cross a boundary: stored records, responses of the API, the wire format, vocabularies.

The modules convert JSON and bytes to frozen values and back. They use no arrays and do no I/O.
Read `records.job` first, then `records.keys`.
"""
