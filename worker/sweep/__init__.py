"""Sweep: restores what was lost, and compares storage with the ledger.

Leases, markers and records come in; wake-ups, cancelled jobs and repaired records come out.
Read `sweep_pass` first, then `reconcile`.
"""
