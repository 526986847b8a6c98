"""Object storage: folders and S3 behind one protocol.

Keys and bytes come in; objects are created once, read, listed and deleted.
Read `protocol` first, then `factory`.
"""
