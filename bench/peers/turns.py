"""Run a contender as a process: it reports when it is ready, then processes one folder for each line on its input.

Its imports and its warm-up are therefore not measured, and one process can do several runs.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint and the prompts."""

    url: str
    key: str
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a run: the images with all masks written, the images without, and the CPU
    seconds for fetching masks.
    """

    succeeded: int
    failed: int
    saving_cpu_s: float = 0.0


Work = Callable[[Target, Sequence[Path], Path], Done]


def serve(work: Work, close: Callable[[], None] = lambda: None) -> None:
    """Read `URL KEY PROMPT…` from the command line, then `{"files": […], "out": folder}` lines until the input ends."""
    url, key, *prompts = sys.argv[1:]
    target = Target(url, key, tuple(prompts))
    try:
        _say(Done(0, 0))
        for line in sys.stdin:
            asked = json.loads(line)
            _say(work(target, [Path(name) for name in asked["files"]], Path(asked["out"])))
    finally:
        close()


def _say(done: Done) -> None:
    fields = {"succeeded": done.succeeded, "failed": done.failed, "saving_cpu_s": done.saving_cpu_s}
    print(json.dumps(fields), flush=True)
