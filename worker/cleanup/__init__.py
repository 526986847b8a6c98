"""Cleanup: remove from storage what was deleted, has expired or is no longer needed.

Tombstones, retention times and listings decide what is removed. Read `cleanup_pass` first.
"""
