"""Segment one image, and print the size of each mask: python one_image.py eye.png "optic disc in retinal fundus"."""

import sys

from maskrelay.client import Client

with Client() as client:
    job = client.submit(sys.argv[1], sys.argv[2:]).wait()
    for item in job.items():
        for mask in item.masks:
            print(mask.prompt, mask.area_px, item.mask(mask.prompt).shape)
