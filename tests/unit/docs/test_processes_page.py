"""docs/explanation/processes.md knows every thread that has a name in the code, and every role of a worker."""

import re
from pathlib import Path

from worker.process.celery_app import ROLES

ROOT = Path(__file__).parents[3]
#: How a thread, or a pool's threads, are given their name.
NAMED = re.compile(
    r'threads\.start\(.*, "([\w-]+)"\)|Thread\(.*name="([\w-]+)"|'
    r'thread_name_prefix="([\w-]+)"|LoopExecutor\(\w+, "([\w-]+)"\)'
)


def named_threads() -> set[str]:
    code = [path.read_text() for part in ("api", "worker", "maskrelay") for path in (ROOT / part).rglob("*.py")]
    return {name for text in code for found in NAMED.findall(text) for name in found if name}


def test_the_page_knows_every_thread_and_every_worker() -> None:
    page = (ROOT / "docs" / "explanation" / "processes.md").read_text()
    names = named_threads()
    assert {"renewal", "clearing", "comparing", "opening", "pixels"} <= names
    assert {name for name in names if f"`{name}`" not in page and f"`{name}_N`" not in page} == set()
    assert {role for role in ROLES if f"`{role}`" not in page and f"`worker {role}`" not in page} == set()
