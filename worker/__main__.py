"""`python -m worker segment | assemble | control | deliver`: run a worker of this role.

A control worker starts `python -m worker sweep PID` itself.
"""

import contextlib
import os
import signal
import sys

from maskrelay.errors import SettingsError
from maskrelay.settings import Settings
from maskrelay.telemetry import logs
from maskrelay.threads import end_process_with_threads
from worker.context import build
from worker.sweep.sweep_pass import sweep_for_ever


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) == 2 and arguments[0] == "sweep":
            _sweep(parent=int(arguments[1]))
            return 0
        return _work(arguments)
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2


def _sweep(parent: int) -> None:
    settings = Settings.from_environment(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    end_process_with_threads()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # sys.exit() lets the audit log be closed
    parts = build(settings, "sweep")
    with contextlib.closing(parts.audit):
        sweep_for_ever(parts, parent=parent, made_pass=_tell_parent)


def _work(arguments: list[str]) -> int:
    # imported only here, because a sweep does not need the libraries of the stages
    from worker.process.celery_app import ROLES, run  # noqa: PLC0415

    if len(arguments) == 1 and arguments[0] in ROLES:
        return run(arguments[0], os.environ)
    sys.stderr.write(f"usage: python -m worker {' | '.join(ROLES)}\n")
    return 2


def _tell_parent() -> None:
    """Report to the control worker that a pass is over. The control worker kills a sweep that does not report.

    If the control worker is gone, the report fails. This error is ignored, because the sweep then ends by itself.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
