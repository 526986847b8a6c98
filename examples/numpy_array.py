"""Submit a NumPy array, and save its overlay as a picture: python numpy_array.py overlay.png."""

import sys

import numpy as np

from maskrelay.client import Client

rows, columns = np.mgrid[:256, :256]
disc = ((rows - 128) ** 2 + (columns - 128) ** 2 < 60**2) * np.uint8(180) + np.uint8(40)

with Client() as client:
    (item,) = client.submit([disc], "tumor in breast ultrasound").wait().items()
    item.overlay().save(sys.argv[1])
