"""The choice of the encoding of a canvas.

It depends on what the endpoints accept, and on which limit makes scores wait.
"""

from collections.abc import Sequence

from maskrelay.imaging.canvas.encode import CanvasCoding
from worker.segment.admission import Admissions
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.picture_choice import PictureChoice
from worker.segment.wire_choice import WireChoice


def canvas_coding(
    pool: EndpointPool, wires: WireChoice, pictures: PictureChoice, admissions: Admissions, among: Sequence[str]
) -> CanvasCoding:
    """Return the encoding that all of these endpoints accept.

    What is smaller is used only while the limit on bytes makes scores wait, because WebP and small PNGs take more CPU
    time. A lean deployment can give so many answers that its PNGs are made fast.
    """
    stock = [endpoint for endpoint in pool.named(among) if not wires.is_lean(endpoint)]
    if not admissions.bytes_bind():
        return CanvasCoding(gray=all(endpoint.gray for endpoint in stock))
    accepted = [pictures.accepted(endpoint) for endpoint in stock]
    return CanvasCoding(
        gray=all(each.gray for each in accepted), webp=all(each.webp for each in accepted), small=bool(stock)
    )
