"""The cleanup, which removes deleted, expired and unneeded objects from storage.

It finds them by markers, by their age and by listings. Read `cleanup_pass` first.
"""
