"""The choice of the encoding of a canvas.

It depends on what the endpoints accept, and on which limit makes scores wait.
"""

from collections.abc import Sequence

from maskrelay.imaging.canvas.encode import CanvasCoding
from worker.segment.admission import Admissions
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.wire_choice import WireChoice


def canvas_coding(pool: EndpointPool, wires: WireChoice, admissions: Admissions, among: Sequence[str]) -> CanvasCoding:
    """Return the encoding that all of these endpoints accept.

    WebP is smaller but takes more CPU time, so it is used only while the limit on bytes makes scores wait.
    """
    lean = all(wires.is_lean(endpoint) for endpoint in pool.named(among))
    return CanvasCoding(gray=lean or pool.takes_gray(among), webp=lean and admissions.bytes_bind())
