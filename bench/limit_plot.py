"""Plot the limit over time as SVG.

Each scenario has a panel, each seed of each rule a line, and the real limit is dashed.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from bench.limit_model import Run, Scene

WIDTH, HEIGHT, LEFT, TOP, GAP = 420, 220, 44, 48, 56
SECONDS = 60.0
TICKS = (2, 4, 8, 16, 32, 64)
COLOURS = {"AIMD ½": "#c44", "AIMD 0.9": "#d90", "ours": "#06c"}

Panel = tuple[Scene, Mapping[str, Sequence[Run]]]


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Write one panel for each scene, side by side.

    A panel shows the limit in the first minute on a logarithmic scale.
    """
    whole = LEFT + len(panels) * (WIDTH + GAP), TOP + HEIGHT + 36
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" font-family="sans-serif">']
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    for place, (scene, runs) in enumerate(panels):
        parts += _panel(LEFT + place * (WIDTH + GAP), scene, runs)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _x(left: float, second: float) -> float:
    return left + WIDTH * second / SECONDS


def _y(limit: float) -> float:
    share = math.log2(max(limit, 1) / TICKS[0]) / math.log2(TICKS[-1] / TICKS[0])
    return TOP + HEIGHT * (1 - min(max(share, 0), 1))


def _text(x: float, y: float, words: str, *, end: bool = False, colour: str = "#333") -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" fill="{colour}"{anchor}>{words}</text>'


def _panel(left: float, scene: Scene, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    parts = [_text(left, TOP - 28, f"Limit in flight, declared {scene.name}")]
    for tick in TICKS:
        line = f'<path d="M{left} {_y(tick):.1f}h{WIDTH}" stroke="#eee"/>'
        parts += [line, _text(left - 6, _y(tick) + 4, str(tick), end=True)]
    parts += [_text(_x(left, second) - 6, TOP + HEIGHT + 18, f"{second} s") for second in (0, 20, 40, 60)]
    for number, (name, several) in enumerate(runs.items()):
        parts.append(_text(left + number * 80, TOP - 10, name, colour=COLOURS[name]))
        parts += [_line(left, one, COLOURS[name]) for one in several]
    real = f'<path d="M{left} {_y(scene.real(0)):.1f}h{WIDTH}" stroke="#333" stroke-dasharray="2 4"/>'
    return [*parts, real, _text(left + 3 * 80, TOP - 10, f"dashed: the real limit, {scene.real(0)}")]


def _line(left: float, run: Run, colour: str) -> str:
    first = run.limit[: round(SECONDS * 10) + 1]
    path = f"M{_x(left, 0):.0f} {_y(first[0]):.1f}"
    for tenth, (before, limit) in enumerate(pairwise(first), 1):
        if limit != before:
            path += f"H{_x(left, tenth / 10):.1f}V{_y(limit):.1f}"
    return f'<path d="{path}H{_x(left, SECONDS):.0f}" fill="none" stroke="{colour}" opacity="0.6"/>'
