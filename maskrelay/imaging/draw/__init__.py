"""Drawing of the masks, overlays and legends of one frame.

The modules receive an image and its masks, and return PNG files as bytes.
Read `frame_files` first.
"""
