"""Arrays: from source files to the canvas that is scored, and from answers to masks and files.

Bytes of sources and answers come in; planes, canvases, masks, measures and files come out.
Read `frame_pixels` first: it follows one frame through every package here.
"""
