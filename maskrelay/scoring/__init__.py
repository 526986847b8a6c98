"""The HTTP client of a scoring endpoint.

It sends rows with a credential, and returns answers, or raises an error that says what it means for the
endpoint. Read `endpoint_client` first.
"""
