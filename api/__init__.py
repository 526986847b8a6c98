"""The HTTP API, one package per feature.

Requests come in; jobs are accepted, shown, cancelled and deleted. Nothing here decodes an image.
Read `app` first, then `routes`.
"""
