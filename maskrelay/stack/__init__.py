"""The embedded stack behind `make up` and `make demo`.

It takes a data folder and settings, and runs all processes of the service on this machine until it is stopped. Read
`running` first, then `stack_processes`.
"""
