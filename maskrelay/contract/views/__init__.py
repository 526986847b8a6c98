"""The models of the API's JSON responses.

Their class names are schema names in `/openapi.json`, so they must not be changed.
Read `job_views` first.
"""
