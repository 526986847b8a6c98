"""The pixels of an item's artifacts: masks as NumPy arrays, overlays as Pillow images.

NumPy and Pillow are imported when they are used, because the client can be installed without them.
"""

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from maskrelay.client.responses import pictures
from maskrelay.contract.views.job_views import FrameShown, ItemShown
from maskrelay.errors import NotFound, OptionInvalid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    MaskArray = npt.NDArray[np.bool_]


def mask_links(item: ItemShown, prompt: str, frame: int | None) -> list[str]:
    """Return the links of the masks of one prompt: of one frame, or of all frames in order.

    Raises OptionInvalid for an unknown prompt or frame, and NotFound if a mask was not made.
    """
    links = []
    for number, picture in _chosen(item, frame):
        found = next((mask for mask in picture.masks if mask.prompt == prompt), None)
        where = "" if number is None else f" of frame {number}"
        if found is None and picture.error is not None:
            raise NotFound(f"There is no mask{where}: {picture.error.code}: {picture.error.detail}")
        if found is None:
            known = ", ".join(repr(mask.prompt) for mask in picture.masks) or "none"
            raise OptionInvalid(f"{prompt!r} is not a prompt{where}. The prompts with a mask: {known}.")
        if found.links.mask is None:
            raise NotFound(f"The mask{where} was not stored as a file. Submit with outputs=['mask'].")
        links.append(found.links.mask)
    return links


def overlay_link(item: ItemShown, frame: int | None) -> str:
    """Return the link of the overlay of a frame. Raises OptionInvalid for an unknown frame, and NotFound."""
    several = _chosen(item, frame)
    if len(several) > 1:
        raise OptionInvalid(f"This item has {len(several)} frames. Name one of them.")
    link = several[0][1].links.overlay
    if link is None:
        raise NotFound("The overlay was not made. Submit with outputs=['mask', 'overlay'].")
    return link


def mask_array(files: Sequence[bytes], *, stacked: bool) -> "MaskArray":
    """Return masks as a bool array of shape [rows, columns], or [frames, rows, columns] if `stacked`.

    Raises OptionInvalid if the frames have different sizes.
    """
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    planes = [np.asarray(Image.open(io.BytesIO(file)).convert("L")) > 0 for file in files]
    if len({plane.shape for plane in planes}) > 1:
        raise OptionInvalid("The frames have different sizes. Ask for the masks one by one, with `frame`.")
    return np.stack(planes) if stacked else planes[0]


def overlay_image(file: bytes) -> "Image.Image":
    """Return a picture that Jupyter shows."""
    from PIL import Image  # noqa: PLC0415

    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table for a notebook."""
    cells = ["".join(f"<th>{html.escape(name)}</th>" for name in head)]
    cells += ["".join(f"<td>{'' if cell is None else html.escape(str(cell))}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _chosen(item: ItemShown, frame: int | None) -> Sequence[tuple[int | None, ItemShown | FrameShown]]:
    """Return one frame, or all."""
    several = pictures(item)
    if frame is None:
        return several
    chosen = [(number, picture) for number, picture in several if number == frame or (number is None and frame == 0)]
    if not chosen:
        raise OptionInvalid(f"The item has no frame {frame}.")
    return chosen
