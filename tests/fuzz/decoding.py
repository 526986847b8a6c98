"""Hostile files through the decoders: each ends as a picture or as a coded error, in bounded time and memory.

    python -m tests.fuzz.decoding [--count 10000] [--seed N] [--children 2]

Files are made from real ones by the printed seed and decoded in child processes with a limit of address space. What
is anything else than a picture or an item's coded error, hangs or ends its child, is kept in a folder that is named.
"""

import argparse
import collections
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations import mutated, sources

#: Seconds, and bytes of address space beyond what a child has when it begins.
SECONDS, ROOM = 20, 2 << 30
MOST_PIXELS = 4_000_000
#: Frames of one source that are decoded; of more, the first ones.
FRAMES = 3
BATCH = 50


@dataclass(frozen=True)
class Case:
    number: int
    kind: str
    file: bytes


def cases(count: int, seed: int) -> "list[Case]":
    """The same for the same seed."""
    rng = random.Random(seed)
    known = sources()
    by_kind = {kind: [file for its, file in known if its == kind] for kind, _ in known}
    return [
        Case(number, kind, mutated(rng.choice(by_kind[kind]), rng))
        for number, kind in enumerate(rng.choice(sorted(by_kind)) for _ in range(count))
    ]


def decoded(case: Case, folder: Path) -> str:
    """`picture`, or the code of the ItemError; any other error leaves."""
    from maskrelay.contract.records.job import PixelOptions
    from maskrelay.errors import ItemError
    from maskrelay.imaging.read.source import read_picture
    from maskrelay.imaging.read.source_survey import survey_dicom, survey_nifti, survey_tiff

    path = folder / f"{case.number}.bin"
    path.write_bytes(case.file)
    about = {"upload": 0, "kind": case.kind, "size": len(case.file)}
    try:
        if case.kind == "still":
            read_picture(case.file, _plain(), max_pixels=MOST_PIXELS)
            return "picture"
        if case.kind == "tiff":
            found = survey_tiff(path, about, max_pixels=MOST_PIXELS)
        else:
            options = PixelOptions(volume=0)
            if case.kind == "dicom":
                found = survey_dicom(path, about, key=b"key")
            else:
                found = survey_nifti(case.file, about, options, most_bytes=1 << 31)
        for index in range(min(found.frames, FRAMES)):
            read_picture(path, found.reading.model_copy(update={"index": index}), max_pixels=MOST_PIXELS)
        return "picture"
    except ItemError as error:
        return error.code
    finally:
        path.unlink()


def _plain():
    from maskrelay.contract.records.source_frames import Reading

    return Reading()


def _work(batch: "list[Case]", folder: str, answers: "multiprocessing.Queue") -> None:
    """In a child: say which case begins, then how it ended."""
    import warnings

    import maskrelay.imaging.read.source_survey  # noqa: F401  the libraries are there before the limit is

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    warnings.simplefilter("ignore")
    for case in batch:
        answers.put((case.number, "begun"))
        signal.alarm(SECONDS)  # ends the child, whatever it is in
        try:
            answers.put((case.number, decoded(case, Path(folder))))
        except BaseException as error:
            answers.put((case.number, f"uncoded {type(error).__name__}: {error}"[:200]))
        signal.alarm(0)


def run(count: int, seed: int, children: int) -> "tuple[collections.Counter[str], dict[int, str]]":
    """How many ended how, by kind and code; and what went wrong, by the case's number."""
    ends: dict[int, str] = {}
    waiting = collections.deque(_batches(cases(count, seed)))
    total, kinds = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        fleet: list[tuple[multiprocessing.Process, list[Case], multiprocessing.Queue]] = []
        context = multiprocessing.get_context("spawn")
        while waiting or fleet:
            while waiting and len(fleet) < children:
                batch = waiting.popleft()
                total += len(batch)
                kinds.update({case.number: case.kind for case in batch})
                answers = context.Queue()
                child = context.Process(target=_work, args=(batch, folder, answers))
                child.start()
                fleet.append((child, batch, answers))
            for member in list(fleet):
                child, batch, answers = member
                _drain(answers, ends)
                if child.is_alive():
                    continue
                child.join()
                _drain(answers, ends)
                fleet.remove(member)
                rest = _after_death(batch, ends, child.exitcode)
                if rest:
                    waiting.appendleft(rest)
            time.sleep(0.02)
    wrong = {number: end for number, end in ends.items() if not end.replace("_", "").isalpha()}
    return collections.Counter(f"{kinds[number]}: {end}" for number, end in ends.items()), wrong


def _batches(all_cases: "list[Case]") -> "list[list[Case]]":
    return [all_cases[first : first + BATCH] for first in range(0, len(all_cases), BATCH)]


def _drain(answers: "multiprocessing.Queue", ends: "dict[int, str]") -> None:
    while not answers.empty():
        number, end = answers.get()
        ends[number] = end


def _after_death(batch: "list[Case]", ends: "dict[int, str]", code: "int | None") -> "list[Case]":
    """What a child that ended early left; the case it was at is to blame."""
    for place, case in enumerate(batch):
        if ends.get(case.number) == "begun":
            ends[case.number] = f"child ended with {code}"
            return batch[place + 1 :]
        if case.number not in ends:
            return batch[place:]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.decoding", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--children", type=int, default=2)
    asked = parser.parse_args()
    print(f"{asked.count} files, seed {asked.seed}")
    began = time.monotonic()
    ended, wrong = run(asked.count, asked.seed, asked.children)
    for name, many in sorted(ended.items()):
        print(f"{many:7d}  {name}")
    print(f"{sum(ended.values())} decoded in {time.monotonic() - began:.0f} s, {len(wrong)} wrong")
    if wrong:
        kept = Path(tempfile.mkdtemp(prefix="fuzz-"))
        for case in cases(asked.count, asked.seed):
            if case.number in wrong:
                (kept / f"{case.number}.{case.kind}").write_bytes(case.file)
                print(f"  {case.number} {case.kind}: {wrong[case.number]}")
        print(f"kept in {kept}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
