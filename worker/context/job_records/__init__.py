"""The records of a job in storage that several stages read or write.

These are plans, outcome parts, visible outcomes, events and conclusions. Read `outcome_parts` first.
"""
