"""Logs and traces of a process.

Logs are written as lines of text or JSON, and traces are sent with OTLP. Neither contains data of patients.
Read `logs` first, then `spans`.
"""
