"""The records that are kept in storage, and the keys of their objects.

A record is stored as JSON and read as an immutable object. An older version of the software must be able to read the
records that a newer version has stored.
Read `keys` first, then `job` and `outcomes`.
"""
