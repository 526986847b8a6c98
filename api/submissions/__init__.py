"""The submission of jobs, from the bytes of a request to an accepted job.

A form with files, or a JSON body that refers to uploads, becomes a stored submission. If the request is invalid, the
error names the place of the mistake. Read `submit` first, then `parse` and `accept`.
"""
