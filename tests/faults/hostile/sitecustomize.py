"""Put on a worker's PYTHONPATH: a PNG that holds a marker kills or hangs its decoder, as a broken codec would."""

import os
import signal
import threading

from PIL import PngImagePlugin

_open = PngImagePlugin.PngImageFile._open


def _hostile_open(self):
    start = self.fp.tell()
    body = self.fp.read()
    self.fp.seek(start)
    if b"KILLS ITS DECODER" in body:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"HANGS ITS DECODER" in body:
        threading.Event().wait()
    _open(self)


PngImagePlugin.PngImageFile._open = _hostile_open
