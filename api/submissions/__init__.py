"""Submitting jobs: from a request's bytes to an accepted job.

A form, JSON or upload comes in; a durable submission comes out, or an error that names the offending place.
Read `submit` first, then `parse` and `accept`.
"""
