"""The JSON of the API's responses.

Class names are names in `/openapi.json`, so they stay as they are.
Read `job_views` first.
"""
