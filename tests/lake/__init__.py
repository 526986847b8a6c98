"""The demo of a data lake: `make demo-lake` shows a cohort in a bucket, from the dry run to the answer of a query."""
