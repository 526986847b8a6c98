"""The result tables: their columns, and the functions that turn the records of a job into rows.

The functions are pure. The API and the workers share them, so they need neither NumPy nor a writer of Parquet. Read
`table_schema` first, then `table_rows`.
"""
