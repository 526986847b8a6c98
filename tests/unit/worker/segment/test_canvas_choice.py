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
from worker.segment.picture_choice import PictureChoice
from worker.segment.wire_choice import WireChoice


@dataclass
class Known:
    """What a child process knows: the lean endpoints, whether bytes are the limit, and what stock endpoints read."""

    lean: frozenset[str] = frozenset()
    binding: bool = False
    webp: bool = False
    gray: bool = False

    def is_lean(self, endpoint: Endpoint) -> bool:
        return endpoint.name in self.lean

    def accepted(self, endpoint: Endpoint) -> CanvasCoding:
        return CanvasCoding(gray=endpoint.gray or self.gray, webp=self.webp)

    def bytes_bind(self) -> bool:
        return self.binding


def coding(known: Known, **gray: bool) -> CanvasCoding:
    pool = EndpointPool(tuple(an_endpoint(name, gray=accepted) for name, accepted in gray.items()), {})
    choices = cast(WireChoice, known), cast(PictureChoice, known), cast(Admissions, known)
    return canvas_coding(pool, *choices, tuple(gray))


def test_nothing_is_made_smaller_at_the_cost_of_time_while_bytes_are_not_the_limit() -> None:
    assert coding(Known(), stock=False) == RGB_PNG
    assert coding(Known(), stock=True) == CanvasCoding(gray=True)
    assert coding(Known(gray=True, webp=True), stock=False) == CanvasCoding(gray=True)


@pytest.mark.parametrize("gray", [False, True])
def test_a_stock_deployment_gets_small_pngs_while_bytes_are_the_limit(gray: bool) -> None:
    assert coding(Known(binding=True), stock=gray) == CanvasCoding(gray=gray, small=True)


def test_a_stock_deployment_gets_webp_where_it_reads_it() -> None:
    assert coding(Known(webp=True), stock=False) == RGB_PNG
    assert coding(Known(binding=True, webp=True), stock=False) == CanvasCoding(webp=True, small=True)


def test_a_lean_deployment_gets_webp_while_bytes_are_the_limit() -> None:
    lean = frozenset({"lean"})
    assert coding(Known(lean), lean=False) == CanvasCoding(gray=True)
    assert coding(Known(lean, binding=True), lean=False) == CanvasCoding(gray=True, webp=True)


def test_a_mixed_pool_gets_what_both_accept() -> None:
    assert coding(Known(frozenset({"lean"}), binding=True), lean=False, stock=False) == CanvasCoding(small=True)
