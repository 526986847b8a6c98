"""Endpoints for operators and autoscalers, and the catalogue of what a job can ask for.

The state of the ledger comes in; health, metrics, scaling and catalogue come out.
Read `health` first.
"""
