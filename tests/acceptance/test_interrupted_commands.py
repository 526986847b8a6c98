"""A command over a folder of mixed files that is killed, interrupted and repeated: nothing is lost or paid twice."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from bench.interrupted_folder import run_to_the_end, write_folder
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.stacks import RunningStack


def rows_scored(stack: RunningStack) -> int:
    counters = httpx.get(stack.simulator.replace("/score", "/_simulator"), timeout=10).raise_for_status().json()
    return int(counters["rows"])


@pytest.mark.slow_subject("interrupted-commands")
def test_each_good_file_is_scored_and_saved_once_and_each_broken_file_is_named(
    stack: RunningStack, tmp_path: Path
) -> None:
    files = write_folder(tmp_path / "in", 150)
    with stack.client() as client:  # then the service has compared the forms of pictures that the endpoint takes
        client.wait(client.submit([saved(gradient(20 + n, 30), "PNG") for n in range(12)], "tumor").id)
    before = rows_scored(stack)
    ended = run_to_the_end(stack.url, stack.api_key, tmp_path / "in", tmp_path / "out")
    assert ended.codes == [-9, 130, -9, 1]
    assert rows_scored(stack) - before == len(files.good)
    rows = Counter((row["source_name"], row["error_code"]) for row in ended.rows)
    assert rows == Counter([*((name, "") for name in files.good), *((name, "truncated") for name in files.broken)])
    masks = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.mask.png")]
    stems = Counter(name.replace("_", " ")[: len("ward 0/0/image 00000")] for name in masks)
    assert stems == Counter(name.removesuffix(".png") for name in files.good)
    assert not list((tmp_path / "out").rglob("*.part"))
