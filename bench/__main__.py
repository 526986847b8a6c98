"""Run the benchmarks of the performance page, and write their tables into it.

    python -m bench [MODULE …] [--page docs/explanation/performance.md] [--list]

The page names each benchmark in a comment before its tables, with its arguments, for example
`<!-- bench cpu --prompts 1 3 -->`; the tables end at `<!-- end -->`. Each benchmark runs as a separate command, one
after another. The page is written after each of them, so an interrupted run keeps what it has measured. Without MODULE,
all of them run.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path("docs/explanation/performance.md")
_BLOCK = re.compile(r"(?P<head><!-- bench (?P<command>[a-z_]+[^\n]*?) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Return the benchmarks that the text of a page names, each as the module's name and its arguments."""
    return [shlex.split(block["command"]) for block in _BLOCK.finditer(page)]


def with_tables(page: str, command: list[str], tables: str) -> str:
    """Return the text of the page with these tables in the block of this command."""

    def replaced(block: re.Match[str]) -> str:
        if shlex.split(block["command"]) != command:
            return block[0]
        return f"{block['head']}\n{tables.strip()}\n\n"

    return _BLOCK.sub(replaced, page)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="for example cpu; by default all")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--list", action="store_true", help="print the commands and run nothing")
    options = parser.parse_args()
    found = commands(options.page.read_text())
    unknown = set(options.modules) - {command[0] for command in found}
    if unknown:
        parser.error(f"{options.page} has no benchmark of this name: {', '.join(sorted(unknown))}")
    for command in found:
        if options.modules and command[0] not in options.modules:
            continue
        print(f"python -m bench.{shlex.join(command)}", flush=True)
        if not options.list:
            tables = _run(command)
            options.page.write_text(with_tables(options.page.read_text(), command, tables))


def _run(command: list[str]) -> str:
    """Return what the benchmark prints. Its messages go to the standard error output."""
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{command[0]}", *command[1:]], stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"bench.{command[0]} ended with {ended.returncode}; the page keeps its last tables")
    return ended.stdout


if __name__ == "__main__":
    main()
