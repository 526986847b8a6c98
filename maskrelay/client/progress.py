"""The progress of a job: a moving bar on a terminal, otherwise a line for each change."""

import contextlib
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import JobShown

_BAR = 24


class JobProgress:
    """A display of a job's progress. Call the object with the job to update the display on `stream`."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._quiet = quiet
        self._last = ""

    def __call__(self, job: JobShown) -> None:
        line = describe(job)
        if line == self._last or self._quiet:
            return
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{line[:width]}" + ("\n" if job.state in TERMINAL else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
        self._last = line

    def end(self) -> None:
        """End the line of the bar. This is needed if the display stops before the job has ended."""
        if self._moves and self._last:
            self._stream.write("\n")


class UploadProgress:
    """One line about the uploads: it moves on a terminal, and elsewhere it is printed once, at the end."""

    def __init__(self, stream: TextIO, total: int, *, quiet: bool = False) -> None:
        self._stream = stream
        self._total = total
        self._moves = stream.isatty() and not quiet
        self._quiet = quiet
        self._done: int | None = None

    def __call__(self, done: int) -> None:
        self._done = done
        if self._moves:
            self._stream.write(f"\r\x1b[K{self._line()}")
            self._stream.flush()

    def end(self) -> None:
        if self._done is not None and not self._quiet:
            self._stream.write("\n" if self._moves else self._line() + "\n")

    def _line(self) -> str:
        return f"{self._done}/{self._total} files uploaded"


@contextlib.contextmanager
def progress_bar(on_progress: Callable[[JobShown], None] | None) -> Iterator[Callable[[JobShown], None] | None]:
    """Yield the given function, or one that moves a bar of tqdm, or None.

    There is a bar only if tqdm is installed, and the program runs in a terminal or in a notebook.
    """
    bar = None if on_progress is not None else _bar()
    if bar is None:
        yield on_progress
        return

    def show(job: JobShown) -> None:
        bar.total = max(job.frames.planned, job.counts.total)
        bar.n = _done(job)
        bar.set_description_str(job.state)
        bar.refresh()

    with contextlib.closing(bar):
        yield show


def _bar() -> Any:
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return None
    try:
        with warnings.catch_warnings():  # a notebook without widgets gets a bar of characters
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm  # noqa: PLC0415
    except ImportError:
        return None
    return tqdm(unit="frame")


def _done(job: JobShown) -> int:
    return job.frames.succeeded + job.frames.failed + job.frames.cancelled


def describe(job: JobShown) -> str:
    """Return the state of the job as one line."""
    done = _done(job)
    total = max(job.frames.planned, job.counts.total)
    full = _BAR * done // total if total else 0
    text = f"[{'#' * full}{'.' * (_BAR - full)}] {done}/{total} {job.state}"
    if job.frames.failed:
        text += f", {job.frames.failed} failed"
    if job.eta_s is not None and job.state not in TERMINAL:
        text += f", {job.eta_s:.0f} s left"
    return text
