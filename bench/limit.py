"""`python -m bench.limit`: compare rules that find the real limit of an endpoint.

It prints a table and draws docs/explanation/limit.svg.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.figures import median, print_head, print_table
from bench.limit_model import Model, Run, Scene
from bench.limit_plot import draw
from bench.limit_rules import rules
from tests.support.servers.valkeys import running_valkey

SEEDS = range(5)
PLOT = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "limit.svg"
SCENES = (
    Scene("×4 too low, 8 slots of 1 s", ((0, 8),), 4, 128, 1.0),
    Scene("×4 too high, 8 slots of 1 s", ((0, 8),), 64, 128, 1.0),
    Scene("×4 too low, 32 slots of 1 s", ((0, 32),), 16, 512, 1.0),
    Scene("×4 too high, 32 slots of 1 s", ((0, 32),), 256, 512, 1.0),
    Scene("×4 too low, 4 slots of 0.25 s", ((0, 4),), 2, 64, 0.25),
    Scene("×4 too high, 4 slots of 0.25 s", ((0, 4),), 32, 64, 0.25),
    Scene("8 slots of 1 s, 4 after 40 s, 16 after 80 s", ((0, 8), (40, 4), (80, 16)), 16, 128, 1.0, 320.0),
)


def settled(run: Run, scene: Scene) -> float:
    """Return the seconds until the mean limit over five seconds is within 10 % of the real one and stays there."""
    for tenth in reversed(range(len(run.limit) - 50)):
        mean, real = statistics.fmean(run.limit[tenth : tenth + 50]), scene.real(tenth / 10)
        if abs(mean - real) > 0.1 * real:
            return tenth / 10 + 0.1
    return 0.0


def error(run: Run, scene: Scene) -> float:
    """Return the mean distance from the real limit in the last half, as a share of the real limit."""
    tenths = range(len(run.limit) // 2, len(run.limit))
    return statistics.fmean(abs(run.limit[one] / scene.real(one / 10) - 1) for one in tenths)


def row(scene: Scene, name: str, runs: Sequence[Run]) -> list[str]:
    half = scene.seconds / 2
    late = [60 * sum(at > half for at in run.refused) / half for run in runs]
    return [
        scene.name,
        name,
        f"{median([settled(run, scene) for run in runs]):.1f} s",
        f"{median([error(run, scene) for run in runs]):.1%}",
        f"{median([len(run.refused) / len(run.sent) for run in runs]):.2%}",
        f"{median(late):.1f}",
    ]


def main() -> None:
    print_head("Rules for the limit on requests in flight, a simulated endpoint", len(SEEDS))
    rows, panels = [], []
    with running_valkey() as server:
        for scene in SCENES:
            runs = {
                name: [Model(scene, make(scene.start, scene.most), seed).play() for seed in SEEDS]
                for name, make in rules(server.client).items()
            }
            panels.append((scene, runs))
            rows += [row(scene, name, several) for name, several in runs.items()]
    print_table(["declared", "rule", "within 10 % after", "steady error", "refused", "refused/min, late"], rows)
    draw(panels[:2], PLOT)


if __name__ == "__main__":
    main()
