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

    WebP and small PNGs take more CPU time, so they are used only while the limit on bytes makes scores wait. A lean
    deployment can give so many answers that its PNGs are made fast.
    """
    lean = all(wires.is_lean(endpoint) for endpoint in pool.named(among))
    binding = admissions.bytes_bind()
    return CanvasCoding(gray=lean or pool.takes_gray(among), webp=lean and binding, small=binding and not lean)
