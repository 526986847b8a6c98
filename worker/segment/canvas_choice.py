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
    """Return the encoding for a canvas, which all of these endpoints accept.

    WebP and smaller PNGs are used only while the limit on bytes makes scores wait, because they take more CPU time. If
    all endpoints have lean deployments, PNGs are never made smaller, because these deployments answer so fast that they
    would have to wait for the encoding.
    """
    stock = [endpoint for endpoint in pool.named(among) if not wires.is_lean(endpoint)]
    accepted = [pictures.accepted(endpoint) for endpoint in stock]
    gray = all(each.gray for each in accepted)
    if not admissions.bytes_bind():
        return CanvasCoding(gray=gray)
    return CanvasCoding(gray=gray, webp=all(each.webp for each in accepted), small=bool(stock))
