"""Logs and traces of a process.

Messages and spans come in; lines of text or JSON and OTLP come out. Nothing of a patient is in either.
Read `logs` first, then `spans`.
"""
