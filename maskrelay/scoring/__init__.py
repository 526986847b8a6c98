"""The HTTP client of a scoring endpoint.

It sends rows with a credential, and returns answers. An error says whether the endpoint or the frame caused it. Read
`endpoint_client` first.
"""
