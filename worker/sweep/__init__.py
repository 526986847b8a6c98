"""The sweep, which restores lost work and compares storage with the ledger.

From leases, markers and records, it finds the wake-ups to send, the jobs to cancel and the records to repair. Read
`sweep_pass` first, then `reconcile`.
"""
