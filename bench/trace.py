"""Draw the trace of one job as `docs/explanation/trace.svg`, from the spans that a real collector received.

python -m bench.trace [--out docs/explanation/trace.svg]
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import nibabel
import numpy as np

from maskrelay.client import Client
from maskrelay.stack.loopback import free_port
from maskrelay.stack.running import running
from maskrelay.stack.supervisor import Ending
from tests.support.servers.collectors import Collected, collector
from tests.support.servers.receivers import receiver, status

WIDTH, LEFT, TOP, ROW = 760, 250, 46, 22
COLOURS = {"api": "#06c", "control": "#940", "segment": "#2a7", "assemble": "#a3a", "deliver": "#c44"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trace", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/explanation/trace.svg"))
    asked = parser.parse_args()
    asked.out.write_text(draw(traced()))


def traced() -> list[Collected]:
    """Return the spans of a volume of three slices, from its submission to its callback."""
    with (
        tempfile.TemporaryDirectory(prefix="trace-") as name,
        collector() as traces,
        receiver(status(204)) as told,
    ):
        environment = {
            **os.environ,
            "MASKRELAY_OTLP_ENDPOINT": traces.url,
            "MASKRELAY_CALLBACK_ALLOW": "127.0.0.1",
        }
        with running(environment, Path(name) / "data", free_port(), say=print, ending=Ending()) as stack:
            source = Path(name) / "volume.nii"
            nibabel.save(nibabel.Nifti1Image(np.arange(120000, dtype=np.int16).reshape(200, 200, 3), np.eye(4)), source)
            with Client(stack.layout.url, stack.layout.api_key, timedelta(seconds=60)) as client:
                client.submit([source], ["liver in abdomen CT"], outputs=["nifti"], wait_s=60)  # the first one warms up
                job = client.submit(
                    [source], ["liver in abdomen CT"], outputs=["nifti"], callback=told.url(), wait_s=60
                )
                while not told.received:
                    client.job(job.id)
        (submit,) = [one for one in traces.named("submit") if one.attributes.get("job_id") == job.id]
        return [one for one in traces.spans if one.trace == submit.trace]


def draw(spans: Sequence[Collected]) -> str:
    """Draw one bar for each span in depth-first order. The arrow of a link begins at the linked span."""
    ordered = _walk(spans)
    begins, ends = min(one.began for one in spans), max(one.ended for one in spans)
    scale = WIDTH / (ends - begins)
    rows = {one.id: number for number, (one, _) in enumerate(ordered)}
    height = TOP + ROW * len(ordered) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 70} {height}" font-family="sans-serif">'
    ]
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    parts += [_legend(number, name, colour) for number, (name, colour) in enumerate(COLOURS.items())]
    for one, depth in ordered:
        y, x = TOP + ROW * rows[one.id], LEFT + (one.began - begins) * scale
        long = max(2.0, (one.ended - one.began) * scale)
        frame = f" {one.attributes['frame']}" if "frame" in one.attributes else ""
        parts.append(f'<text x="{8 + 16 * depth}" y="{y + 14}" font-size="13" fill="#333">{one.name}{frame}</text>')
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{long:.1f}" height="14" rx="2" fill="{COLOURS[one.process]}"/>'
        )
        words = f"{(one.ended - one.began) / 1e6:.0f} ms"
        parts.append(f'<text x="{x + long + 5:.1f}" y="{y + 14}" font-size="11" fill="#666">{words}</text>')
        for link in one.links:
            parts.append(_link(LEFT - 10, TOP + ROW * rows[link] + 10, y + 10))
    return "\n".join([*parts, "</svg>\n"])


def _walk(spans: Sequence[Collected], parent: str | None = None, depth: int = 0) -> list[tuple[Collected, int]]:
    known = {one.id for one in spans}
    mine = [one for one in spans if (one.parent if one.parent in known else None) == parent]
    found: list[tuple[Collected, int]] = []
    for one in sorted(mine, key=lambda one: one.began):
        found += [(one, depth), *_walk(spans, one.id, depth + 1)]
    return found


def _legend(number: int, name: str, colour: str) -> str:
    x = LEFT + 110 * number
    box = f'<rect x="{x}" y="14" width="12" height="12" fill="{colour}"/>'
    return f'{box}<text x="{x + 18}" y="24" font-size="13" fill="#333">{name}</text>'


def _link(x: float, begins: float, ends: float) -> str:
    return f'<path d="M{x} {begins}h-8V{ends}h8" fill="none" stroke="#999" stroke-dasharray="3 2"/>'


if __name__ == "__main__":
    main()
