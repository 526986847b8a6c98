"""The supervision of a control worker's sweep process.

The supervisor starts and watches the sweep, and restarts it, until it has failed too often.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from maskrelay.rules.restarts import failures_in_a_row, pause_after

log = logging.getLogger(__name__)
#: The seconds between two checks of the sweep.
PERIOD = 0.5
#: A sweep reports after every pass. A sweep that has not reported for this many seconds is killed.
SILENT = 60.0


def command() -> tuple[str, ...]:
    """Return the command line of a sweep that belongs to the calling process."""
    return (sys.executable, "-m", "worker", "sweep", str(os.getpid()))


class SweepSupervisor:
    """A supervisor of one sweep process.

    Call `check` repeatedly from one thread. It blocks only to wait for the end of a sweep that it has killed. The sweep
    process reports each pass, successful or not, on its standard output.
    """

    def __init__(self, command: Sequence[str], silent: float = SILENT) -> None:
        self._command = command
        self._silent = silent
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._heard = 0.0
        self._failures = 0
        self._next = 0.0
        #: True if the sweep has failed repeatedly. The control worker then ends with an error.
        self.given_up = False

    def is_alive(self) -> bool:
        """Return whether a sweep is running and has reported recently."""
        running = self._process is not None and self._process.poll() is None
        return running and time.monotonic() - self._heard < self._silent

    def check(self) -> None:
        """Start the sweep if none is running and the pause is over. Kill a sweep that has not reported for too long."""
        if self.given_up:
            return
        if self._process is None:
            if time.monotonic() >= self._next:
                self._start()
            return
        self._listen()
        code = self._process.poll()
        if code is not None:
            self._failed(f"ended with {code}")
        elif time.monotonic() - self._heard >= self._silent:
            self._process.kill()
            self._process.wait()
            self._failed(f"was killed: it made no pass for {self._silent:g} s")

    def end(self) -> None:
        """End the sweep together with the control worker."""
        if self._process is not None:
            self._process.terminate()

    def _start(self) -> None:
        self._started = self._heard = time.monotonic()
        try:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - our own words
        except OSError as error:
            self._failed(f"could not be started: {error.strerror}")
            return
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.read(4096):
            self._heard = time.monotonic()

    def _failed(self, how: str) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        self._failures = failures_in_a_row(self._failures, time.monotonic() - self._started)
        pause = pause_after(self._failures)
        if pause is None:
            log.critical("the sweep %s; it failed %d times in a row, so the control worker ends", how, self._failures)
            self.given_up = True
            return
        log.error("the sweep %s; it starts again in %g s", how, pause)
        self._next = time.monotonic() + pause
