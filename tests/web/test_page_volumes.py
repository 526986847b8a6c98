"""Volumes on the web page: NiiVue, which draws them, and the grid by which the page puts slices back together."""

import gzip
import hashlib
import io
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, expect

from api.http.middleware.web_page import FOLDER
from maskrelay.contract.records.outcomes import Rle
from maskrelay.contract.records.source_frames import Orientation
from maskrelay.imaging.draw.palette import PALETTE
from maskrelay.imaging.masks.rle import decode_rle
from maskrelay.imaging.orientation import unturned
from tests.support.builders.phantoms import ball, nifti, oblique, voxels
from tests.support.checks.system_programs import node_file
from tests.support.drivers.web_pages import Visitor
from tests.support.servers.stacks import RunningStack
from tests.web.page_images import LIVER
from tests.web.test_page_modules import WITH_NIIVUE

VENDOR, MODULE = FOLDER / "assets" / "vendor", "niivue-0.69.0.js"


def volume() -> FilePayload:
    """Return an oblique volume with a bright ball that is not in the middle."""
    raster = oblique((48, 56, 14), (3.0, 3.0, 5.0))
    body = nifti(raster, voxels(raster, ball((15.0, -25.0, 8.0), 26.0)))
    return {"name": "ball.nii.gz", "mimeType": "application/gzip", "buffer": body}


def pixels(visitor: Visitor) -> np.ndarray:
    """Return what the stage of the volume shows, as an array of shape (height, width, 3)."""
    shown = Image.open(io.BytesIO(visitor.page.locator(".stage.volume").screenshot()))
    return np.asarray(shown.convert("RGB")).astype(int)


def test_the_module_is_that_of_the_package_and_has_its_licence() -> None:
    module = (VENDOR / MODULE).read_bytes()
    assert module == node_file("@niivue/niivue/dist/index.js").read_bytes()
    licence = (VENDOR / "niivue-0.69.0.LICENSE.txt").read_text()
    for words in ("BSD 2-Clause License", "Copyright (c) 2021, Niivue", hashlib.sha256(module).hexdigest(), "zarrita"):
        assert words in licence
    loads = [path for path in FOLDER.rglob("*") if path.suffix in {".js", ".html"} and b"vendor/" in path.read_bytes()]
    assert loads == [FOLDER / "assets" / "viewer" / "volume_viewer.js"]


@pytest.mark.slow_subject("web-page")
def test_a_volume_is_shown_in_planes_and_in_three_dimensions(stack: RunningStack, desktop: Visitor, axe: str) -> None:
    page = desktop.page
    desktop.sign_in(stack.api_key)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    desktop.submit([volume()], LIVER)
    desktop.ended("Succeeded")
    page.locator("a.card").click()
    desktop.viewer()
    check_the_grid(page.url, stack)
    assert [url for url in loaded if url.rpartition("/")[2] in {MODULE, *WITH_NIIVUE}] == []

    page.get_by_label(f"Opacity of {LIVER}").fill("100")
    page.get_by_label("View").select_option("Axial plane")
    stage = page.locator(".stage.volume")
    expect(stage).to_have_attribute("data-shown", "axial")
    mask = near(pixels(desktop), PALETTE[0])
    assert mask.sum() > 200
    page.get_by_label(LIVER, exact=True).uncheck()
    page.mouse.move(0, 0)
    grey = pixels(desktop).mean(axis=2)
    assert (grey[mask].mean() > 200, grey.mean() < 120) == (True, True), "the image is not where its mask is"
    page.get_by_label(LIVER, exact=True).check()
    for view, mode in (("Three planes", "planes"), ("3-D", "solid")):
        page.get_by_label("View").select_option(view)
        expect(stage).to_have_attribute("data-shown", mode)
        assert near(pixels(desktop), PALETTE[0], 120).sum() > 200
    assert {url.rpartition("/")[2] for url in loaded} >= {MODULE, *WITH_NIIVUE}
    assert desktop.barriers(axe) == []
    page.get_by_label("View").select_option("Slices")
    expect(page.locator(".stage").first).to_be_visible()
    assert (desktop.foreign, desktop.errors) == ([], [])


def near(shown: np.ndarray, colour: tuple[int, int, int], distance: int = 30) -> np.ndarray:
    return np.asarray(np.abs(shown - np.array(colour)).sum(axis=2) < distance)


def check_the_grid(address: str, stack: RunningStack) -> None:
    """Check that the masks, put together by the grid that the API shows, are the label volume."""
    job = address.split("/jobs/")[1].split("/", maxsplit=1)[0]
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.url, headers=headers, trust_env=False) as client:
        item: dict[str, Any] = client.get(f"/v1/jobs/{job}/items/0?rle=true").json()
        file = gzip.decompress(client.get(item["links"]["nifti"]).content)
        assert "grid" not in client.get(f"/v1/jobs/{job}/items").json()["items"][0]
    grid = item["grid"]
    found = np.zeros(grid["shape"], np.uint8)
    planes = np.moveaxis(found, grid["axis"], 0)
    for frame in item["frames"]:
        mask = decode_rle(Rle.model_validate(frame["masks"][0]["rle"]))
        planes[grid["places"][frame["frame"]]] = unturned(mask, Orientation(**grid["turn"]))
    assert found.any()
    assert np.array_equal(found, np.asarray(nibabel.Nifti1Image.from_bytes(file).dataobj))
