"""Sweep: restore what was lost, and compare storage with the ledger.

From leases, markers and records, it finds which wake-ups to send, which jobs to cancel and which records to repair.
Read `sweep_pass` first, then `reconcile`.
"""
