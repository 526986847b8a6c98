"""The performance page names its benchmarks, and `python -m bench` writes each one's tables below its name."""

import importlib.util

from bench.__main__ import PAGE, commands, with_tables

TEXT = """# Page

<!-- bench cpu --prompts 1 3 -->
old tables
<!-- end -->

Words.

<!-- bench codec -->
<!-- end -->
"""


def test_the_commands_are_read_in_order_with_their_arguments() -> None:
    assert commands(TEXT) == [["cpu", "--prompts", "1", "3"], ["codec"]]


def test_only_the_tables_of_one_command_are_replaced() -> None:
    written = with_tables(TEXT, ["cpu", "--prompts", "1", "3"], "| new |\n")
    assert written == TEXT.replace("old tables\n", "\n| new |\n\n")
    assert with_tables(TEXT, ["codec"], "| \\1 |\n").endswith("<!-- bench codec -->\n\n| \\1 |\n\n<!-- end -->\n")


def test_every_benchmark_that_the_page_names_exists() -> None:
    for module, *_ in commands(PAGE.read_text()):
        assert importlib.util.find_spec(f"bench.{module}") is not None, module
