"""A folder of mixed files, submitted by a command that is interrupted three times and repeated.

    python -m bench.interrupted_folder [--files 5000]

One file in ten is broken, and one in fifty is no image. The command is killed while it uploads, interrupted while it
waits, and killed while it saves. Then it runs to its end. The program prints how long the runs took, and what was
scored, saved and reported.
"""

import argparse
import csv
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from bench.endpoint import running_endpoint
from bench.service import running_service

PROMPT = "tumor in breast ultrasound"
#: The text in the state file after which each of the first three runs is interrupted, and by which signal.
INTERRUPTIONS = (('"upload"', signal.SIGKILL), ('"job"', signal.SIGINT), ('"saved"', signal.SIGKILL))


@dataclass(slots=True)
class Folder:
    """The files of a folder by name: those that can be segmented, and those that are broken."""

    good: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Ended:
    """The runs of the command: their exit codes and seconds, and the rows that the last one printed."""

    codes: list[int]
    seconds: list[float]
    rows: list[dict[str, str]]


def write_folder(folder: Path, count: int) -> Folder:
    """Write `count` files to subfolders. Their contents differ, so that none is scored for another."""
    made, rng = Folder(), random.Random(7)
    for number in range(count):
        name = f"ward {number % 7}/{number % 3}/image {number:05}.png"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = io.BytesIO()
        shade = rng.randrange(256)
        picture = Image.new("RGB", (24, 18), (number % 256, number // 256, shade))
        picture.save(written, "JPEG" if number % 4 == 1 else "PNG")
        if number % 10 == 3:
            path.write_bytes(written.getvalue()[:40])
            made.broken.add(name)
        else:
            path.write_bytes(written.getvalue())
            made.good.add(name)
        if number % 50 == 0:
            path.with_name("notes.txt").write_text("not an image")
    return made


def run_to_the_end(url: str, api_key: str, folder: Path, out: Path) -> Ended:
    """Run the command, interrupt it at three points, and repeat it until it ends by itself."""
    command = [sys.executable, "-m", "maskrelay.client.cli", "submit", str(folder), "--prompt", PROMPT]
    command += ["--output", "mask", "--save", str(out), "--csv"]
    environment = {**os.environ, "MASKRELAY_URL": url, "MASKRELAY_API_KEY": api_key}
    codes, seconds = [], []
    for word, number in INTERRUPTIONS:
        began = time.monotonic()
        codes.append(_interrupted(command, environment, out / ".maskrelay-run.jsonl", word, number))
        seconds.append(time.monotonic() - began)
    began = time.monotonic()
    last = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    sys.stderr.write(last.stderr)
    seconds.append(time.monotonic() - began)
    return Ended([*codes, last.returncode], seconds, list(csv.DictReader(io.StringIO(last.stdout))))


def _interrupted(command: Sequence[str], environment: dict[str, str], state: Path, word: str, number: int) -> int:
    """Start the command, send the signal as soon as the word is in the state file, and return the exit code."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if state.exists() and word in state.read_text(errors="replace"):
            process.send_signal(number)
            break
        time.sleep(0.01)
    return process.wait()


def _first_images(folder: Path) -> list[Path]:
    paths = [folder / f"first {number}.png" for number in range(12)]
    for number, path in enumerate(paths):
        Image.new("RGB", (40 + number, 30), "teal").save(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.interrupted_folder", description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder, out = Path(made) / "in", Path(made) / "out"
        files = write_folder(folder, asked.files)
        with running_endpoint() as endpoint, running_service(endpoint, Path(made) / "data") as service:
            with service.client() as client:  # with its first images, the service compares the forms of pictures
                client.submit(_first_images(Path(made)), [PROMPT], wait_s=60)
            before = endpoint.counters()["rows"]
            ended = run_to_the_end(service.url, service.api_key, folder, out)
            scored = endpoint.counters()["rows"] - before
        masks = list(out.rglob("*.mask.png"))
    named = {row["source_name"] for row in ended.rows if row["error_code"]}
    print(f"{len(files.good)} good files, {len(files.broken)} broken files")
    print(f"exit codes {ended.codes}, seconds {[round(one, 1) for one in ended.seconds]}")
    print(f"{scored} scores, {len(masks)} masks saved, {len(named)} failures named by file")


if __name__ == "__main__":
    main()
