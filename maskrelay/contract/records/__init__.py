"""The records that are kept in storage, and the keys of their objects.

A record is stored as JSON and read as a frozen value. An older version of the software must be able to read the records
of a newer one.
Read `keys` first, then `job` and `outcomes`.
"""
