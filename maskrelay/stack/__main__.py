"""Run the stack (`up`) or the demo (`demo`). PORT (default 8080), DATA (default .maskrelay) and MASKRELAY_* apply."""

import argparse
import io
import os
import sys
from pathlib import Path

from maskrelay.local_stack import DEFAULT_FOLDER
from maskrelay.stack.up import up
from maskrelay.threads import end_process_with_threads


def main() -> int:
    end_process_with_threads()
    parser = argparse.ArgumentParser(prog="python -m maskrelay.stack", description=__doc__)
    parser.add_argument("what", choices=("up", "demo"))
    what = parser.parse_args().what
    given = dict(os.environ)
    for stream in (sys.stdout, sys.stderr):  # replace characters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if what == "demo":
        from maskrelay.stack.demo import demo  # noqa: PLC0415 - it needs NumPy and Pillow, which `up` does not

        return demo(given, Path("demo-output"))
    port = given.get("PORT") or "8080"
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        parser.error(f"PORT must be a number from 1 to 65535, not {port!r}")
    return up(given, Path(given.get("DATA") or DEFAULT_FOLDER), int(port))


if __name__ == "__main__":
    sys.exit(main())
