"""The canvas that is sent: letterbox, resize, encode.

A picture comes in; a square PNG and the geometry that undoes it come out.
Read `letterbox` first.
"""
