"""The library behind the API and the workers.

`contract` defines the data formats. `rules` makes decisions and `imaging` computes, both without I/O. `ledger`,
`storage`, `scoring` and `callbacks` exchange data with other systems. Read `contract` first.
"""
