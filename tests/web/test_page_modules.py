"""The modules of the web page, loaded by the browser, and its files on disk."""

import gzip
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import nibabel
import numpy as np
import pytest
from playwright.sync_api import Browser

from api.http.middleware.web_page import FOLDER
from maskrelay.contract.records.source_frames import Orientation
from maskrelay.contract.vocabulary.trained_targets import nearest, targets_of
from maskrelay.errors import tree
from maskrelay.imaging.draw.palette import PALETTE
from maskrelay.imaging.masks.rle import encode_rle
from maskrelay.imaging.orientation import turned
from tests.support.builders.masks import mask_of
from tests.support.drivers.web_pages import Visitor, visitor
from tests.support.servers.stacks import RunningStack

#: The modules that are loaded only together with NiiVue.
WITH_NIIVUE = {"volume_viewer.js", "volume_image.js"}
#: Reasons of a cancellation, which the page explains like errors.
REASONS = {"cancelled", "deadline"}


@pytest.fixture(scope="module")
def tab(chromium: Browser, stack: RunningStack) -> Iterator[Visitor]:
    with visitor(chromium, stack.url, {"width": 800, "height": 600}) as visiting:
        visiting.open()
        yield visiting


def called(tab: Visitor, module: str, expression: str, given: Any = None) -> Any:
    """Return the value of an expression over the module `it` and `given`, as the browser computes it."""
    script = f"async (given) => {{ const it = await import('{tab.url}/assets/{module}'); return {expression}; }}"
    return tab.page.evaluate(script, given)


def some_masks() -> list[np.ndarray]:
    random = np.random.default_rng(7)
    speckled = [random.random(shape) < share for shape in ((1, 1), (3, 5), (40, 30)) for share in (0.0, 0.2, 1.0)]
    down, across = np.mgrid[:600, :500]
    return [*speckled, (down - 300) ** 2 + (across - 200) ** 2 < 150**2]


def test_run_lengths_are_decoded_to_the_same_masks_as_in_the_service(tab: Visitor) -> None:
    masks = some_masks()
    given = [encode_rle(mask_of(mask)).model_dump(mode="json") for mask in masks]
    decoded = called(tab, "viewer/rle.js", "given.map((rle) => [...it.decodeRle(rle).inside])", given)
    for mask, inside in zip(masks, decoded, strict=True):
        assert np.array_equal(np.reshape(inside, mask.shape), mask)


@pytest.mark.parametrize("counts", ["", "1", "`", "\x7f", "2~0"])
def test_run_lengths_that_do_not_fit_their_size_are_an_error(tab: Visitor, counts: str) -> None:
    given = {"size": [3, 3], "counts": counts}
    thrown = "(() => { try { it.decodeRle(given); return null; } catch (error) { return error.name; } })()"
    assert called(tab, "viewer/rle.js", thrown, given) == "RangeError"


def test_an_outline_is_the_mask_without_its_inside(tab: Visitor) -> None:
    mask = np.zeros((9, 11), np.uint8)
    mask[1:8, 2:10] = 1
    given = {"width": 11, "height": 9, "inside": mask.ravel().tolist()}
    expression = "[...it.outline({ ...given, inside: Uint8Array.from(given.inside) }, 1)]"
    outline = np.reshape(called(tab, "viewer/mask_layers.js", expression, given), mask.shape)
    expected = mask.copy()
    expected[2:7, 3:9] = 0
    assert np.array_equal(outline, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_put_back_to_where_the_service_has_cut_them_from(tab: Visitor, axis: int) -> None:
    """Each way to turn a slice, for volumes without two sides of the same length, and with a slice that is missing."""
    random = np.random.default_rng(axis)
    affine = np.array([[0.7, 0.1, 0, -20], [-0.1, 1.1, 0.2, 4], [0, 0, 2.3, 9], [0, 0, 0, 1]])
    for flags in itertools.product((False, True), repeat=3):
        turn = Orientation(**dict(zip(("transpose", "flip_rows", "flip_columns"), flags, strict=True)))
        volume = random.integers(1, 255, (3, 4, 5), dtype=np.uint8)
        places = [place for place in range(volume.shape[axis]) if place != 1]
        np.moveaxis(volume, axis, 0)[1] = 0
        labels = nibabel.Nifti1Image((volume > 99).astype(np.uint16), affine)
        labels.header.set_intent("label", name="prompt number")
        pictures = [turned(np.take(volume, place, axis), turn) for place in places]
        given = {
            "labels": list(labels.to_bytes()),
            "grid": {"shape": volume.shape, "axis": axis, "places": places, "turn": turn.model_dump()},
            "pictures": [np.repeat(picture, 4).tolist() for picture in pictures],
        }
        expression = """(() => {
            const { file, put } = it.emptyVolume(Uint8Array.from(given.labels).buffer, given.grid);
            given.pictures.forEach((samples, frame) => put(frame, samples));
            return { file: [...file], size: it.frameSize(given.grid) };
        })()"""
        made = called(tab, "viewer/volume_image.js", expression, given)
        image = nibabel.Nifti1Image.from_bytes(bytes(made["file"]))
        assert np.array_equal(np.asarray(image.dataobj), volume), turn
        assert np.allclose(image.affine, labels.affine)
        assert (image.get_data_dtype(), image.header.get_intent()[0]) == (np.uint8, "none")
        assert tuple(made["size"]) == pictures[0].shape[::-1]


def test_the_colours_are_those_of_the_overlays(tab: Visitor) -> None:
    assert called(tab, "viewer/palette.js", "it.PALETTE") == [list(colour) for colour in PALETTE]


@pytest.mark.parametrize(
    "prompt",
    [
        "optc disc in retinal fundus",
        "pancraes in abdomen CT",
        "Livers in abdomen MRI",
        "ivc in abdomen CT",
        "a cat",
        "tumour in brain MRI",
    ],
)
def test_a_prompt_gets_the_same_suggestion_as_from_the_service(tab: Visitor, prompt: str) -> None:
    targets = [target.model_dump() for target in targets_of(None, None)]
    given = {"targets": targets, "prompt": prompt}
    suggested = called(tab, "submit/prompt_suggestions.js", "it.didYouMean(given.targets, given.prompt)", given)
    known = called(tab, "submit/prompt_suggestions.js", "it.isKnown(given.targets, given.prompt)", given)
    assert suggested == (None if known else nearest(prompt))


def test_routes_and_filters_survive_the_url(tab: Visitor) -> None:
    given = {"state": "failed", "text": "a&b c", "flagged": ""}
    expression = "Object.fromEntries(it.parseRoute(it.fragment('/jobs', given)).query)"
    assert called(tab, "core/routes.js", expression, given) == {"state": "failed", "text": "a&b c"}
    parsed = called(
        tab, "core/routes.js", "(({ query, ...rest }) => rest)(it.parseRoute('#/jobs/abc2/items/7?frame=3'))"
    )
    assert parsed == {"name": "item", "job": "abc2", "item": "7"}


def test_events_are_read_from_pieces_of_any_size(tab: Visitor) -> None:
    first = ': hello\n\nretry: 2000\n\nid: 1\nevent: job\ndata: {"a":\ndata: 1}\n\n'
    text = first + "id: 2\r\nevent: end\r\ndata: {}\r\n\r\nid: 3\ndata: x"
    expression = """(() => {
        const events = [];
        let rest = "";
        for (const letter of given) {
            const parsed = it.parseEvents(rest + letter);
            rest = parsed.rest;
            events.push(...parsed.events);
        }
        return events;
    })()"""
    assert called(tab, "core/event_stream.js", expression, text) == [
        {"id": "1", "event": "job", "data": '{"a":\n1}'},
        {"id": "2", "event": "end", "data": "{}"},
    ]


def test_the_page_explains_only_errors_that_exist() -> None:
    text = (FOLDER / "assets" / "core" / "error_words.js").read_text()
    known = set(re.findall(r"^  (\w+): \[", text, re.MULTILINE))
    assert known - REASONS - {kind.code for _, kind in tree()} == set()
    assert len(known) > 40


def test_the_page_weighs_at_most_sixty_kilobytes() -> None:
    left_out = {"docs.html", "docs.css", "docs.js", *WITH_NIIVUE}
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.parent.name != "vendor"]
    files = [path for path in files if path.name not in left_out]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) <= 60_000


class _Inline(HTMLParser):
    """Collects what the content security policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if (
            tag == "style"
            or (tag == "script" and "src" not in names)
            or any(name == "style" or name.startswith("on") for name in names)
        ):
            self.refused.append(self.get_starttag_text() or tag)


def test_the_page_has_no_inline_script_or_style() -> None:
    reader = _Inline()
    reader.feed((FOLDER / "index.html").read_text())
    assert reader.refused == []
