"""The submission of jobs, from the bytes of a request to an accepted job.

A form, a JSON body or an upload becomes a stored submission. If it is invalid, the error names the place of the
mistake. Read `submit` first, then `parse` and `accept`.
"""
