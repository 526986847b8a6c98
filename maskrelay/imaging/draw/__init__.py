"""Drawing: masks, overlays and legends of one frame as PNG files.

A picture and masks come in; PNG bytes come out.
Read `frame_files` first.
"""
