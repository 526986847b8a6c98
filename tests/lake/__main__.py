"""Show a data lake from the bucket to the answer of a query, with local servers only.

    python -m tests.lake [s3] [azure] [--page docs/howto/data-lake.md]

A cohort (a CT series, an MR volume and photographs) is put into a local S3 or Azure server. Then the demo types what a
user types: a dry run, the run, a query of the result tables. It kills all workers in the middle of the run. If anything
does not hold, it says so and ends with exit code 1. `--page` writes the commands and their output into a page.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import pytest

from tests.lake.lake_demo import show
from tests.lake.lakes import LAKES
from tests.lake.terminal import DoesNotHold, Terminal

_BLOCK = re.compile(r"(?P<head><!-- demo-lake (?P<step>[a-z-]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lake", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stores", nargs="*", metavar="STORE", help="s3 or azure; by default both")
    parser.add_argument("--page", type=Path, help="write what the first store's demo prints into this page")
    asked = parser.parse_args()
    if unknown := set(asked.stores) - LAKES.keys():
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(LAKES)}")
    for name in asked.stores or LAKES:
        print(f"\n==== The lake is in {name}", flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="demo-lake-") as folder, LAKES[name]() as lake:
                terminal = show(lake, Path(folder))
        except (DoesNotHold, pytest.skip.Exception, pytest.fail.Exception) as error:
            print(f"\nThe demo has failed: {error}", file=sys.stderr)
            return 1
        if asked.page:
            asked.page.write_text(with_steps(asked.page.read_text(), terminal))
            asked.page = None
    print("\nEverything holds.")
    return 0


def with_steps(page: str, terminal: Terminal) -> str:
    """Return the page with what the steps printed in the blocks that name them."""

    def replaced(block: re.Match[str]) -> str:
        text = "\n".join(terminal.printed[block["step"]])
        return f"{block['head']}\n```console\n{text}\n```\n\n"

    return _BLOCK.sub(replaced, page)


if __name__ == "__main__":
    sys.exit(main())
