"""The canvas that is sent to the endpoint.

The modules convert an image to a square PNG, and map the endpoint's maps back to the geometry of the image.
Read `letterbox` first.
"""
