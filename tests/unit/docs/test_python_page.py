"""The page of the Python client has every public name, with the signature that it has, and an example for each."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maskrelay.client
from maskrelay.client import Client, SavedFile

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "python.md").read_text()
METHODS = {name: value for name, value in vars(Client).items() if inspect.isfunction(value) and name[0] != "_"}
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def plain(function: Callable[..., Any]) -> str:
    """The parameters without annotations, as the page has them; a default that is a function is `...`."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    words = [
        f"{one.name}=..."
        if callable(one.default) and one.default is not inspect.Parameter.empty
        else str(one.replace(annotation=inspect.Parameter.empty))
        for one in parameters
    ]
    by_name = [number for number, one in enumerate(parameters) if one.kind is inspect.Parameter.KEYWORD_ONLY]
    return ", ".join([*words[: by_name[0]], "*", *words[by_name[0] :]] if by_name else words)


def test_every_public_name_has_a_heading() -> None:
    headings = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    assert set(maskrelay.client.__all__) <= set(headings)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_signature_and_an_example_that_calls_it(name: str) -> None:
    assert f"### `{name}({plain(METHODS[name])})`\n\n```python\n" in PAGE
    assert any(f"client.{name}(" in example for example in EXAMPLES)


def test_no_method_is_on_the_page_that_the_client_lacks() -> None:
    assert set(re.findall(r"^### `(\w+)\(", PAGE, re.MULTILINE)) == {*METHODS, "Client"}


def test_every_field_of_a_saved_file_is_explained() -> None:
    explained = PAGE.partition("## SavedFile")[2]
    assert {one.name for one in dataclasses.fields(SavedFile) if f"`{one.name}`" not in explained} == set()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_python(example: str) -> None:
    ast.parse(example)
