"""The CPU time of encoding and decoding an image in one thread without HTTP, step by step, compared
with the textbook way.

    python -m bench.codec [--rounds 7] [--prompts 1 3]

Nothing is sent. The response is that of the canned simulator, in memory. Each figure is the median of the rounds, and a
round is the mean over the same set of images.
"""

import argparse
import asyncio
import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.codec_steps import MAX_PIXELS, our_steps, textbook_steps
from bench.figures import median, print_head, print_table, spread
from bench.sources import PROMPTS, make_sources
from maskrelay.contract.wire.image2d import encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.imaging.frame_pixels import draw, prepare
from simulator.canned import Canned

_IMAGES = 8  # two of each kind of source
Steps = Callable[[Path, tuple[str, ...], bytes], dict[str, float]]


def floor(images: Sequence[bytes], prompts: int) -> float:
    """Return the CPU milliseconds per image of all pixel work of a worker, from the bytes of a file to
    those of the masks.
    """
    words, answer = PROMPTS[:prompts], canned_answer(prompts)
    began = time.process_time()
    for file in images:
        prepared = prepare(file, words, max_pixels=MAX_PIXELS)
        encode_request([prepared.row])
        [read] = parse_answer(answer, [prepared.row])
        draw(prepared, read, "probability", ("mask",))
    return (time.process_time() - began) * 1000 / len(images)


@functools.cache
def canned_answer(prompts: int) -> bytes:
    """Return the response to one row with the first `prompts` of `PROMPTS`."""
    return asyncio.run(Canned.of_photograph(prompts).score([("", " & ".join(PROMPTS[:prompts]))]))[0]


def report(files: Sequence[Path], prompts: int, rounds: int) -> None:
    words, answer, images = PROMPTS[:prompts], canned_answer(prompts), [path.read_bytes() for path in files]
    print_head(f"Codec, {prompts} prompt(s), {len(files)} images", rounds)
    ours, theirs, floors = [], [], []
    for _ in range(rounds):  # the two alternate, so that other load on the machine affects both alike
        ours.append(_means(our_steps, files, words, answer))
        theirs.append(_means(textbook_steps, files, words, answer))
        floors.append(floor(images, prompts))
    rows = []
    for step in ours[0]:
        own, their = (median([one.get(step, 0.0) for one in runs]) for runs in (ours, theirs))
        rows.append([step, f"{own:.2f}", f"{their:.2f}" if their else "–", f"{their / own:.1f}" if their else ""])
    own, their = (median([sum(one.values()) for one in runs]) for runs in (ours, theirs))
    rows.append(["all", f"{own:.1f}", f"{their:.1f}", f"{their / own:.1f}"])
    rows.append(["codec floor: all without the laps", spread(floors), "", ""])
    print_table(["step", "ours, CPU ms/image", "textbook", "ratio"], rows)


def _means(steps: Steps, files: Sequence[Path], prompts: tuple[str, ...], answer: bytes) -> dict[str, float]:
    taken = [steps(path, prompts, answer) for path in files]
    return {step: sum(one[step] for one in taken) / len(taken) for step in taken[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.codec", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 3], choices=range(1, len(PROMPTS) + 1))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codec-") as folder:
        files = make_sources(Path(folder), _IMAGES)
        for prompts in asked.prompts:
            report(files, prompts, asked.rounds)


if __name__ == "__main__":
    main()
