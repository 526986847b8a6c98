"""The HTTP client of a scoring endpoint.

The client sends frames and prompts with a credential, and returns the parsed answers. An error states whether the
endpoint or a frame caused it. Read `endpoint_client` first.
"""
