"""The embedded stack behind `make up` and `make demo`.

A data folder and settings come in; all processes of the service run on this machine until they are stopped.
Read `running` first, then `stack_processes`.
"""
