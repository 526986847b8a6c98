"""The records of a job in storage that several stages read or write: plans, outcome parts, events and conclusions.

Read `outcome_parts` first.
"""
