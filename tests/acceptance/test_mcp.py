"""`maskrelay mcp` as a language model uses it: a client of the protocol over stdio, against the whole stack."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client, StdioServerParameters

from tests.support.builders import dicoms
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.stacks import RunningStack

PROMPT = "tumor in breast ultrasound"
#: What no answer may contain: names of patients and files, and identifiers of DICOM objects.
IDENTIFYING = ("Müller", "mueller", dicoms.ROOT, "1.2.826")
Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with an image, and a subfolder with an image, a broken one, a DICOM object and a text file. A link leads
    out of it.
    """
    scans = tmp_path / "root" / "scans"
    scans.mkdir(parents=True)
    (tmp_path / "root" / "a.png").write_bytes(saved(gradient(21, 20), "PNG"))
    (scans / "mueller 1.png").write_bytes(saved(gradient(30, 20), "PNG"))
    (scans / "mueller 2.png").write_bytes(saved(gradient(), "PNG")[:60])
    raster = oblique((30, 20, 1), (1.0, 1.0, 2.0))
    (slice_,) = series(raster, voxels(raster, ball((0, 0, 0), 6)), np.arange(1), PatientName="mueller^anna")
    (scans / "mueller 3.dcm").write_bytes(slice_)
    (scans / "notes.txt").write_text("Müller")
    (tmp_path / "outside.png").write_bytes(saved(gradient(), "PNG"))
    (tmp_path / "root" / "link.png").symlink_to(tmp_path / "outside.png")
    return tmp_path / "root"


def with_server(stack: RunningStack, root: Path, use: Callable[[Client, Call], Awaitable[None]], key: str = "") -> None:
    """Start the server with a profile of the stack, and call `use` with a session and a function that calls a tool."""
    profiles = root.parent / "maskrelay.toml"
    profiles.write_text(f'[profiles.here]\nurl = "{stack.url}"\napi_key = "{key or stack.api_key}"\n')
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "maskrelay.client.cli", "mcp", "--profile", "here", "--root", str(root)],
        env={"XDG_CONFIG_HOME": str(root.parent), "PYTHONPATH": str(Path.cwd())},
    )
    told: list[str] = []

    async def session() -> None:
        async with Client(server, read_timeout_seconds=120) as client:

            async def call(tool: str, **arguments: Any) -> dict[str, Any]:
                result = await client.call_tool(tool, arguments)
                told.append(result.model_dump_json())
                assert result.is_error == (
                    "error" in result.structured_content and "job" not in result.structured_content
                )
                return dict(result.structured_content)

            await use(client, call)

    asyncio.run(session())
    for word in IDENTIFYING:
        assert word not in "\n".join(told)


def test_a_model_finds_a_prompt_submits_a_folder_and_reads_results_without_names(
    stack: RunningStack, root: Path
) -> None:
    async def use(client: Client, call: Call) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == {"suggest_prompts", "submit", "status", "results"}
        assert (await call("suggest_prompts", words="livr", modality="CT"))["prompts"][0] == "liver in abdomen CT"
        job = await call("submit", paths=["a.png", "scans"], prompts=[PROMPT], outputs=["mask"])
        assert (job["files"], job["named_files"], job["skipped"]) == (4, {"a.png": 0}, 1)
        ended = await call("status", job=job["job"], wait_s=50)
        assert (ended["state"], ended["items"]["succeeded"], ended["items"]["failed"]) == ("partial", 3, 1)
        found = await call("results", job=job["job"], save_to="masks")
        items = {item["file"]: item for item in found["items"]}
        assert [items[n]["state"] for n in range(4)] == ["succeeded", "succeeded", "failed", "succeeded"]
        assert items[2]["error"]["code"] == "truncated"
        assert [mask["prompt"] for mask in items[0]["masks"]] == [PROMPT]
        assert found["saved"] == len(list((root / "masks").rglob("*.mask.png"))) == 3
        again = await call(
            "submit", paths=[str(root / "a.png"), str(root / "scans")], prompts=[PROMPT], outputs=["mask"]
        )
        assert again["job"] == job["job"]
        first = await call("results", job=job["job"], limit=3)
        rest = await call("results", job=job["job"], limit=3, cursor=first["next"])
        assert [len(page["items"]) for page in (first, rest)] == [3, 1]
        assert rest["next"] is None

    with_server(stack, root, use)


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("source_not_allowed", "submit", {"paths": ["../outside.png"], "prompts": [PROMPT]}),
    ("source_not_allowed", "submit", {"paths": ["link.png"], "prompts": [PROMPT]}),
    ("source_not_allowed", "submit", {"paths": ["."], "prompts": [PROMPT]}),
    ("source_not_allowed", "results", {"job": "a" * 26, "save_to": "/tmp"}),
    ("source_missing", "submit", {"paths": ["scans/no.png"], "prompts": [PROMPT]}),
    ("prompt_has_ampersand", "submit", {"paths": ["scans"], "prompts": ["a & b"]}),
    ("option_unknown", "submit", {"paths": ["scans"], "prompts": [PROMPT], "options": {"callback": {"url": "x"}}}),
    ("malformed", "submit", {"paths": [], "prompts": [PROMPT]}),
    ("malformed", "status", {"job": "a" * 26, "wait_s": 99}),
    ("not_found", "status", {"job": "a" * 26}),
    ("not_found", "status", {"job": "../endpoints"}),
    ("not_found", "delete", {"job": "a" * 26}),
]


def test_what_is_refused_has_a_code(stack: RunningStack, root: Path) -> None:
    async def use(_client: Client, call: Call) -> None:
        for code, tool, arguments in REFUSED:
            assert (await call(tool, **arguments))["error"]["code"] == code, (tool, arguments)

    with stack.client() as client:
        before = [job.id for job in client.jobs()]  # other tests use this stack too
        with_server(stack, root, use)
        assert [job.id for job in client.jobs()] == before


def test_a_wrong_key_is_a_coded_error(stack: RunningStack, root: Path) -> None:
    async def use(_client: Client, call: Call) -> None:
        error = (await call("suggest_prompts"))["error"]
        assert error["code"] == "unauthenticated"
        assert "MASKRELAY_API_KEY" in error["detail"]
        assert json.dumps(error).count("of-nobody") == 0

    with_server(stack, root, use, key="of-nobody")
