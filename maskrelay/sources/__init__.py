"""The reading of sources by reference: objects in buckets, folders and web servers outside of the service's storage.

A URL and the name of a credential go in, and the facts and the bytes of the object come out. The operator configures
the credentials, with the prefixes that each tenant may read. Read `credential_file` first, then `source_readers`.
"""
