"""The HTTP client of a scoring endpoint.

Rows and credentials come in; answers come out, or an error that says what it means for the endpoint.
Read `endpoint_client` first.
"""
