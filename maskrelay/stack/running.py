"""Run the whole stack on one data folder, from startup until the last process has ended."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from maskrelay import local_stack
from maskrelay.local_stack import LocalStack
from maskrelay.settings import CLIENT_NAMES, PREFIX
from maskrelay.stack.local_secrets import write_private
from maskrelay.stack.stack_processes import IMPORTED_ONCE, StackLayout, hold, lay_out
from maskrelay.stack.supervisor import Ending, Supervisor


@dataclass(frozen=True, slots=True)
class EmbeddedStack:
    """A started stack: its layout, its supervisor and its folders."""

    layout: StackLayout
    supervisor: Supervisor
    data: Path
    logs: Path


@contextlib.contextmanager
def running(
    given: Mapping[str, str], data: Path, port: int, *, say: Callable[[str], None], ending: Ending
) -> Iterator[EmbeddedStack]:
    """Start the stack with the environment `given` on the folder `data`, and stop it when the block ends.

    Startup is interrupted when `ending` is set. Raises SettingsError for an invalid setting. Raises StackError if the
    folder or the port is in use, or if a process does not start.
    """
    folder = data.resolve()
    lock = hold(folder)
    try:
        layout = lay_out(given, folder, port)
        supervisor = Supervisor(
            layout.stages,
            environment=layout.environment,
            logs=folder / "logs",
            say=say,
            ending=ending,
            held=(lock,),
            modules=IMPORTED_ONCE,
        )
        record = folder / local_stack.NAME
        try:
            supervisor.start_all()
            write_private(record, _record_of(given, layout).text())
            yield EmbeddedStack(layout, supervisor, folder, folder / "logs")
        finally:
            record.unlink(missing_ok=True)
            supervisor.end()
    finally:
        os.close(lock)


def _record_of(given: Mapping[str, str], layout: StackLayout) -> LocalStack:
    settings = {name: value for name, value in layout.environment.items() if name.startswith(PREFIX) and value}
    made = {name: value for name, value in settings.items() if given.get(name) != value}
    return LocalStack(os.getpid(), made, tuple(sorted(settings.keys() - made.keys() - CLIENT_NAMES.keys())))
