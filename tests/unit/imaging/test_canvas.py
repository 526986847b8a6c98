import io

import numpy as np
from PIL import Image

from maskrelay.imaging.canvas import canvas_png
from maskrelay.imaging.letterbox import Letterbox, to_canvas
from tests.pictures import noise


def test_the_canvas_is_sent_as_an_rgb_png_of_its_exact_pixels():
    canvas = to_canvas(noise(500, 300, channels=1), Letterbox.of(500, 300))
    image = Image.open(io.BytesIO(canvas_png(canvas)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (1024, 1024))
    assert np.array_equal(np.asarray(image), canvas)
