"""How the canvas of a frame is encoded, by what its endpoints take, and by what holds scores back at the moment."""

from collections.abc import Sequence

from maskrelay.imaging.canvas.encode import CanvasCoding
from worker.segment.admission import Admissions
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.wire_choice import WireChoice


def canvas_coding(pool: EndpointPool, wires: WireChoice, admissions: Admissions, among: Sequence[str]) -> CanvasCoding:
    """Return the coding that all of these endpoints take.

    WebP has fewer bytes and costs more time, so it is used only while scores wait for bytes.
    """
    lean = all(wires.is_lean(endpoint) for endpoint in pool.named(among))
    return CanvasCoding(gray=lean or pool.takes_gray(among), webp=lean and admissions.bytes_bind())
