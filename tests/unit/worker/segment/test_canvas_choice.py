"""The encoding of a canvas follows what its endpoints accept, and the limit that makes scores wait."""

from dataclasses import dataclass
from typing import cast

import pytest

from maskrelay.endpoints import Endpoint
from maskrelay.imaging.canvas.encode import RGB_PNG, CanvasCoding
from tests.support.drivers.flows import an_endpoint
from worker.segment.admission import Admissions
from worker.segment.canvas_choice import canvas_coding
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.wire_choice import WireChoice


@dataclass
class Known:
    """What a child process knows: the lean endpoints, and whether bytes are the limit."""

    lean: frozenset[str] = frozenset()
    binding: bool = False

    def is_lean(self, endpoint: Endpoint) -> bool:
        return endpoint.name in self.lean

    def bytes_bind(self) -> bool:
        return self.binding


def coding(known: Known, **gray: bool) -> CanvasCoding:
    pool = EndpointPool(tuple(an_endpoint(name, gray=accepted) for name, accepted in gray.items()), {})
    return canvas_coding(pool, cast(WireChoice, known), cast(Admissions, known), tuple(gray))


def test_nothing_is_made_smaller_while_bytes_are_not_the_limit() -> None:
    assert coding(Known(), stock=False) == RGB_PNG
    assert coding(Known(), stock=True) == CanvasCoding(gray=True)


@pytest.mark.parametrize("gray", [False, True])
def test_a_stock_deployment_gets_small_pngs_while_bytes_are_the_limit(gray: bool) -> None:
    assert coding(Known(binding=True), stock=gray) == CanvasCoding(gray=gray, small=True)


def test_a_lean_deployment_gets_webp_while_bytes_are_the_limit() -> None:
    lean = frozenset({"lean"})
    assert coding(Known(lean), lean=False) == CanvasCoding(gray=True)
    assert coding(Known(lean, binding=True), lean=False) == CanvasCoding(gray=True, webp=True)


def test_a_mixed_pool_gets_what_both_accept() -> None:
    assert coding(Known(frozenset({"lean"}), binding=True), lean=False, stock=False) == CanvasCoding(small=True)
