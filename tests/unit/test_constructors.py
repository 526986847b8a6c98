"""A constructor only stores what it is given: what reads, writes or starts something is a function with a verb."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Names of calls that read or write a file or an object, connect, or start a process or a thread.
VERBS = {"Popen", "__enter__", "commit", "connect", "create_server", "listen", "listdir", "mkdir", "open", "read"}
VERBS |= {"read_bytes", "read_text", "run", "scandir", "start", "stat", "unlink"}
VERBS |= {"urlopen", "write_bytes", "write_text", "writer"}
#: Calls on these reach storage or Redis, whatever they are named.
FAR = {"storage", "_storage", "ledger", "_ledger"}


def classes(folder: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield f"{path.relative_to(ROOT)}: {node.name}", node


def called(function: ast.FunctionDef, methods: dict[str, ast.FunctionDef], seen: set[str]) -> Iterator[ast.Call]:
    """The calls of a method, and of the methods of the same class that it calls. Lambdas are called later."""
    nodes: list[ast.AST] = list(function.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        nodes += ast.iter_child_nodes(node)
        if not isinstance(node, ast.Call):
            continue
        yield node
        name = node.func.attr if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "self" else ""
        if name in methods and name not in seen:
            yield from called(methods[name], methods, seen | {name})


def reaches_out(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in VERBS
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = ast.unparse(call.func.value).split(".")[-1]
    return call.func.attr in VERBS or owner in FAR


@pytest.mark.parametrize("folder", ["api", "maskrelay", "simulator", "worker"])
def test_a_constructor_reads_writes_and_starts_nothing(folder: str) -> None:
    found = []
    for name, node in classes(folder):
        methods = {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
        for constructor in ("__init__", "__post_init__"):
            if constructor in methods:
                calls = filter(reaches_out, called(methods[constructor], methods, set()))
                found += [f"{name}: {ast.unparse(call)}" for call in calls]
    assert found == []
