"""Submit jobs: from the bytes of a request to an accepted job.

A form, a JSON body or an upload becomes a stored submission, or an error that names the place of the mistake. Read
`submit` first, then `parse` and `accept`.
"""
