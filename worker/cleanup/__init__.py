"""Cleanup: removes from storage what is deleted, expired or left over.

Tombstones, retention times and listings come in; nothing but deletions comes out.
Read `cleanup_pass` first.
"""
