"""The canvas that is sent to the endpoint.

The modules convert an image to a square PNG or WebP file, and map probability maps back to the image. Read `letterbox`
first.
"""
