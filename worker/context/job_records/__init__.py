"""The records of a job that several stages read or write in storage.

A job's id comes in; plans, outcome parts, visible outcomes, events and conclusions are read or written.
Read `outcome_parts` first.
"""
