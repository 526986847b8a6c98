"""The data formats of stored records, of the API's responses and of endpoints, and the fixed lists of names.

The modules convert JSON and bytes to immutable objects and back. They do not use NumPy. They do no I/O, except that
`records.api_key_file` reads the file of API keys.
Read `records.job` first, then `records.keys`.
"""
