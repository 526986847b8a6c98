"""The wire formats of the endpoints.

The modules encode images and prompts as request bodies, and parse and check the responses.
Read `image2d` first.
"""
