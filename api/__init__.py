"""The HTTP API, with one package for each feature.

It accepts jobs, shows them, and cancels and deletes them on request. It never decodes an image. Read `app` first, then
`routes`.
"""
