"""Delta tables in an object store: Parquet files, and a log that says which of them make up the table.

The log follows the Delta protocol with reader version 1 and writer version 2, so any reader of Delta tables can read
them. A commit is one object, `_delta_log/{version}.json`, that is created only if it does not exist. Read `delta_table`
first, then `delta_log`.
"""
