"""The finish stage, which counts the outcomes of a job in storage again, and writes its result.

It reads the outcome parts, and writes the final objects and `result.json`. Read `finish_step` first, then
`final_objects`.
"""
