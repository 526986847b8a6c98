"""The progress of a job: a moving bar on a terminal, otherwise a line for each change."""

import shutil
from typing import TextIO

from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import JobShown

_BAR = 24


class JobProgress:
    """A display of a job's progress. Call the object with the job to update the display on `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._last = ""

    def __call__(self, job: JobShown) -> None:
        line = describe(job)
        if line == self._last:
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


def describe(job: JobShown) -> str:
    """Return the state of the job as one line."""
    done = job.frames.succeeded + job.frames.failed + job.frames.cancelled
    total = max(job.frames.planned, job.counts.total)
    full = _BAR * done // total if total else 0
    text = f"[{'#' * full}{'.' * (_BAR - full)}] {done}/{total} {job.state}"
    if job.frames.failed:
        text += f", {job.frames.failed} failed"
    if job.eta_s is not None and job.state not in TERMINAL:
        text += f", {job.eta_s:.0f} s left"
    return text
