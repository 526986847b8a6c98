"""What crosses a boundary: records, responses, the wire format, vocabularies.

JSON and bytes come in; frozen values come out, and the same the other way round. No arrays, no effects.
Read `records.job` first, then `records.keys`.
"""
