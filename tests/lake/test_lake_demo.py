"""`make demo-lake`, step by step. Every check in it must hold, over S3 and over Azure."""

from pathlib import Path

import pytest

from tests.lake.__main__ import with_steps
from tests.lake.lake_demo import show
from tests.lake.lakes import LAKES
from tests.lake.terminal import DoesNotHold, Terminal

ROOT = Path(__file__).parents[2]


@pytest.mark.slow_subject("data-lake")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", LAKES)
def test_every_step_of_the_demo_holds(store: str, tmp_path: Path) -> None:
    with LAKES[store]() as lake:
        terminal = show(lake, tmp_path)
    page = (ROOT / "docs" / "howto" / "data-lake.md").read_text()
    assert with_steps(page, terminal) != page


def test_a_failed_command_and_a_false_sentence_end_the_demo(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {})
    terminal.step("one", "One")
    assert terminal.typed("echo a; echo b >&2\n$ echo c") == "a\nb\nc\n"
    terminal.check(True, "it holds")
    with pytest.raises(DoesNotHold, match="exit code 3"):
        terminal.typed("exit 3")
    with pytest.raises(DoesNotHold, match="not true: it holds"):
        terminal.check(False, "it holds")


def test_what_a_step_printed_replaces_its_block_of_a_page(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, {})
    terminal.step("one", "One")
    terminal.typed("echo 1")
    page = "A\n<!-- demo-lake one -->\nold\n<!-- end -->\nB\n"
    expected = "A\n<!-- demo-lake one -->\n\n```console\n$ echo 1\n1\n```\n\n<!-- end -->\nB\n"
    assert with_steps(page, terminal) == expected
