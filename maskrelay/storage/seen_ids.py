"""The custom ids that occurred in a run so far, in a temporary file, so that memory does not grow with their number."""

import hashlib
import sqlite3

#: The number of bytes of each id's hash. Two different ids of a run of a billion lines have the same hash with a
#: probability below 1e-10.
_HASH_BYTES = 12
#: The memory that the database may use, in KiB.
_CACHE_KIB = 8192


class SeenIds:
    """A set of hashes of ids.

    The file has no name, so it disappears with the process. A set may be used by several threads, but only by one at a
    time.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, custom_id: str) -> bool:
        """Add an id. Return False if it was added before."""
        hashed = hashlib.blake2b(custom_id.encode(), digest_size=_HASH_BYTES).digest()
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (hashed,)).rowcount == 1

    def close(self) -> None:
        self._database.close()


def open_seen_ids() -> SeenIds:
    """Return a new, empty set."""
    # An empty name stands for a temporary database, which is written to disk only if it exceeds the cache.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")
    database.execute("BEGIN")
    return SeenIds(database)
