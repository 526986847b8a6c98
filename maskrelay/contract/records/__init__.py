"""Records as storage holds them, and the keys of their objects.

JSON comes in; frozen values come out. An older release must be able to read what a newer one wrote.
Read `keys` first, then `job` and `outcomes`.
"""
