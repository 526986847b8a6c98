"""Put on a worker's PYTHONPATH: a PNG or TIFF that holds a marker kills or hangs its decoder, like a broken codec."""

import os
import signal
import threading

from PIL import PngImagePlugin, TiffImagePlugin


def _hostile(sound):
    def opened(self):
        start = self.fp.tell()
        body = self.fp.read()
        self.fp.seek(start)
        if b"KILLS ITS DECODER" in body:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"HANGS ITS DECODER" in body:
            threading.Event().wait()
        sound(self)

    return opened


for kind in (PngImagePlugin.PngImageFile, TiffImagePlugin.TiffImageFile):
    kind._open = _hostile(kind._open)
