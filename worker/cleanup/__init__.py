"""The cleanup, which removes deleted, expired and unneeded objects from storage.

It finds them by tombstones, retention times and listings. Read `cleanup_pass` first.
"""
