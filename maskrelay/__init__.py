"""The library behind the API and the workers.

`contract` says what crosses a boundary, `rules` and `imaging` decide and compute without effects, and `ledger`,
`storage`, `scoring` and `callbacks` speak to the outside. Read `contract` first.
"""
