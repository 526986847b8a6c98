"""The tabulate stage, which adds the rows of jobs to the result tables of their tenants.

It adds rows of a running job every minute, and replaces them with the final rows when the job has its result. Read
`tabulate_step` first.
"""
