"""Everything that works on arrays of pixels.

The modules read sources, make the canvas that is sent to the endpoint, and convert the endpoint's response to masks,
measures and files.
Read `frame_pixels` first: it follows one frame through all the packages here.
"""
