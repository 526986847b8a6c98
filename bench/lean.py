"""Compare the lean wire format with the article's, by kind of picture, through the simulator's gateway at 5 MB/s.

    python -m bench.lean [--runs 1] [--window 20] [--kinds CT MR retina pathology ultrasound] [--prompts 1 3]
        [--ways stock lean article] [--bytes-only]

First come the bytes of one image on the wire, which are exact whatever else the machine does: the request, and the
answer of the simulator's model to it. Then come images per second: the whole service with a lean and with a stock
deployment, and the article's client, which sends one image after another. The model is canned and takes no time, so
that only the bandwidth and this machine's processors limit the run. The window begins some seconds after the first
score. The last column is the most that the gateway was offered in any ten seconds.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import examples
from scipy import ndimage

from bench.contenders import PEERS
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import median, print_head, print_table, spread
from bench.measured import grown, measure
from bench.peers import textbook
from bench.service import RunningService, running_service
from bench.sources import photograph, varied
from maskrelay.client import Client
from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.contract.wire.lean2d import encode_lean_request
from maskrelay.imaging.canvas.encode import RGB_PNG, CanvasCoding, encode_canvas
from maskrelay.imaging.canvas.letterbox import Letterbox, to_canvas
from simulator.model import answer_row
from simulator.segment import segment
from tests.support.lean_script import LEAN_SCRIPT, lean_script

LIMIT = 5e6
_START_S, _FIRST_SCORE_S = 6.0, 120.0
_FILES = 24
_LEAN = CanvasCoding(gray=True, webp=True)
Pixels = npt.NDArray[np.uint8]


def _ct() -> Pixels:
    """A body of soft tissue with an organ and noise, 512 pixels square, as a CT slice has them."""
    rng, (y, x) = np.random.default_rng(1), np.mgrid[:512, :512]
    body = 110.0 * (((x - 256) / 220) ** 2 + ((y - 256) / 170) ** 2 < 1)
    body[((x - 180) / 60) ** 2 + ((y - 220) / 50) ** 2 < 1] = 150
    noise = ndimage.gaussian_filter(rng.normal(0, 18, (512, 512)), 0.8) * (body > 0)
    return np.clip(ndimage.gaussian_filter(body, 1.5) + noise, 0, 255).astype(np.uint8)


def _mr() -> Pixels:
    pixels = examples.mr.pixel_array.astype(np.float64)
    return np.clip(pixels * (255 / np.percentile(pixels, 99.5)), 0, 255).astype(np.uint8)


def _ultrasound() -> Pixels:
    """Speckle, 640 × 480."""
    speckle = np.random.default_rng(2).rayleigh(60, (480, 640))
    return np.clip(ndimage.gaussian_filter(speckle, (1, 2)), 0, 255).astype(np.uint8)


#: A picture of each kind, and prompts for it.
KINDS: dict[str, tuple[Callable[[], Pixels], tuple[str, ...]]] = {
    "CT": (_ct, ("liver in abdomen CT", "spleen in abdomen CT", "aorta in abdomen CT")),
    "MR": (_mr, ("tumor in brain MRI", "edema in brain MRI", "tumor core in brain MRI")),
    "retina": (
        lambda: photograph("retina.jpg"),
        ("optic disc in retinal fundus", "vessels in retinal fundus", "optic cup in retinal fundus"),
    ),
    "pathology": (
        lambda: photograph("ihc.png"),
        ("neoplastic cells in colon pathology", "connective tissue cells in colon pathology", "glandular structure"),
    ),
    "ultrasound": (_ultrasound, ("benign tumor in breast ultrasound", "malignant tumor", "fetal head")),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Images per second; bytes as a share of the limit; the most in ten seconds as a share of it."""

    images_per_s: float
    share: float
    most: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lean", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--runs", type=int, default=1)
    add("--window", type=float, default=20, help="seconds")
    add("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    add("--prompts", nargs="+", type=int, choices=(1, 2, 3), default=[1, 3])
    add("--ways", nargs="+", choices=("stock", "lean", "article"), default=["stock", "lean", "article"])
    add("--bytes-only", action="store_true")
    given = parser.parse_args()
    print_head("Bytes of one image on the wire, up and down", 1)
    _print_bytes(given.kinds, given.prompts)
    if not given.bytes_only:
        print_head(f"Images per second at {LIMIT / 1e6:g} MB/s", given.runs)
        _print_speed(given)


def _print_bytes(kinds: Sequence[str], counts: Sequence[int]) -> None:
    rows = []
    for kind in kinds:
        for count in counts:
            ways = bytes_of(kind, count)
            cells = [f"{up / 1e6:.3f} + {down / 1e6:.3f}" for up, down in ways.values()]
            article, stock, lean = (sum(moved) for moved in ways.values())
            ceilings = [f"{LIMIT / moved:.1f}" for moved in (article, stock, lean)]
            rows.append(
                [kind, str(count), *cells, f"{stock / lean:.1f}", f"{article / lean:.1f}", " / ".join(ceilings)]
            )
    print_table(
        [
            "kind",
            "prompts",
            "article, MB",
            "stock, MB",
            "lean, MB",
            "stock ÷ lean",
            "article ÷ lean",
            "ceiling, images/s",
        ],
        rows,
    )


def bytes_of(kind: str, count: int) -> dict[str, tuple[int, int]]:
    """Return the bytes up and down of one image for the article's client, our stock form, and the lean form."""
    read, prompts = KINDS[kind]
    pixels, prompts = read(), prompts[:count]
    canvas = to_canvas(pixels, Letterbox.of(pixels.shape[1], pixels.shape[0]))
    answer = answer_row(segment(Image.fromarray(canvas).convert("RGB"), list(prompts)))
    packed = lean_script().packed_answer([answer])
    body = json.dumps(textbook.body(textbook.canvas(pixels), prompts))
    down = len(json.dumps([answer]))
    stock, lean = (Row(encode_canvas(canvas, coding), prompts) for coding in (RGB_PNG, _LEAN))
    return {
        "article": (len(body), down),
        "stock": (len(encode_request([stock])), down),
        "lean": (len(encode_lean_request([lean])), len(packed)),
    }


def _print_speed(given: argparse.Namespace) -> None:
    head = ["kind", "prompts", "way", "images/s", "× stock", "bytes, % of the limit", "most in 10 s, % of the limit"]
    print_table(head, [])
    for kind in given.kinds:
        for count in given.prompts:
            speeds: dict[str, float] = {}
            for way in sorted(given.ways, key=("stock", "lean", "article").index):
                figures = [_speed(way, kind, count, given.window) for _ in range(given.runs)]
                speeds[way] = median([one.images_per_s for one in figures])
                print("| " + " | ".join(_row(kind, count, way, figures, speeds)) + " |", flush=True)


def _row(kind: str, count: int, way: str, figures: Sequence[Figures], speeds: dict[str, float]) -> list[str]:
    ratio = f"{speeds[way] / speeds['stock']:.1f}" if "stock" in speeds else ""
    shares = spread([100 * one.share for one in figures]), spread([100 * one.most for one in figures])
    return [kind, str(count), way, spread([one.images_per_s for one in figures], 2), ratio, *shares]


def _speed(way: str, kind: str, count: int, window: float) -> Figures:
    switches = {"max_concurrent": 16, "bandwidth": LIMIT, "lean": LEAN_SCRIPT if way == "lean" else None}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_endpoint(**switches) as endpoint:
        files = _write(Path(folder) / "sources", kind)
        prompts = KINDS[kind][1][:count]
        if way == "article":
            return _article(endpoint, prompts, files[:8], Path(folder))
        settings = {
            "endpoint_wire": "lean2d" if way == "lean" else "image2d",
            "endpoint_max_in_flight": 16,
            "endpoint_max_bytes_per_s": LIMIT,
            "max_items": 100_000,
        }
        with running_service(endpoint, Path(folder) / "data", **settings) as service:
            moved = sum(bytes_of(kind, count)[way])
            _submit(service, files, prompts, round(1.5 * LIMIT / moved * (_START_S + window)) + 64)
            return _watched(endpoint, window)


def _write(folder: Path, kind: str) -> list[Path]:
    """Write crops and rotations of the kind's picture as PNG."""
    folder.mkdir()
    pixels, paths = KINDS[kind][0](), [folder / f"{number}.png" for number in range(_FILES)]
    for number, path in enumerate(paths):
        Image.fromarray(varied(pixels, number)).save(path, compress_level=1)
    return paths


def _submit(service: RunningService, files: Sequence[Path], prompts: Sequence[str], pictures: int) -> None:
    with Client(service.url, service.api_key) as client:
        repeated = [files[number % len(files)] for number in range(pictures)]
        client.submit(repeated, list(prompts), outputs=["mask"], lane="bulk")


def _watched(endpoint: RunningEndpoint, window: float) -> Figures:
    ends = time.monotonic() + _FIRST_SCORE_S
    while not endpoint.counters()["scores"]:
        if time.monotonic() > ends:
            raise SystemExit("nothing was scored")
        time.sleep(0.05)
    time.sleep(_START_S)
    before = endpoint.counters()
    time.sleep(window)
    after = endpoint.counters()
    counted = grown(before, after)
    moved = counted["bytes_in"] + counted["bytes_out"]
    return Figures(
        counted["rows"] / counted["clock"], moved / counted["clock"] / LIMIT, after["max_bytes_per_s"] / LIMIT
    )


def _article(endpoint: RunningEndpoint, prompts: Sequence[str], files: Sequence[Path], folder: Path) -> Figures:
    with PEERS["article, one by one"](endpoint, prompts, folder / "article") as contender:
        measured = measure(contender, endpoint, files, folder / "masks")
    moved = measured.counted["bytes_in"] + measured.counted["bytes_out"]
    most = endpoint.counters()["max_bytes_per_s"]
    return Figures(measured.images_per_s, moved / measured.seconds / LIMIT, most / LIMIT)


if __name__ == "__main__":
    main()
