"""Every script and the notebook of examples/, run as a reader runs them, against the stack."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from tests.support.builders.pictures import gradient, saved
from tests.support.servers.stacks import RunningStack

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROMPT = "tumor in breast ultrasound"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        path = tmp_path / "scans" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(saved(gradient(30 + number, 20), "PNG"))
    (tmp_path / "scans" / "broken.png").write_bytes(saved(gradient(), "PNG")[:60])
    return tmp_path


def run(stack: RunningStack, folder: Path, script: str, *arguments: str) -> str:
    environment = {**os.environ, "MASKRELAY_URL": stack.url, "MASKRELAY_API_KEY": stack.api_key}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_one_image(stack: RunningStack, folder: Path) -> None:
    (line,) = run(stack, folder, "one_image.py", "scans/1.png", PROMPT).splitlines()
    assert line.startswith(PROMPT)
    assert line.endswith("(20, 31)")


def test_a_folder_of_images(stack: RunningStack, folder: Path) -> None:
    for _ in range(2):
        run(stack, folder, "folder_of_images.py", "scans", "masks.csv", PROMPT)
        with (folder / "masks.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["source"], row["prompt"], row["error"]) for row in rows] == [
            ("0.png", PROMPT, ""),
            ("1.png", PROMPT, ""),
            ("2.png", PROMPT, ""),
            ("broken.png", "", "truncated"),
        ]
    with stack.client() as client:
        assert sum(job.counts.total == 4 for job in client.jobs()) == 1


def test_items_as_they_complete(stack: RunningStack, folder: Path) -> None:
    told = run(stack, folder, "as_they_complete.py", PROMPT, "scans/0.png", "scans/broken.png").splitlines()
    assert {line.split()[0] for line in told} == {"0.png", "broken.png"}
    assert "broken.png failed: truncated" in told


def test_a_numpy_array(stack: RunningStack, folder: Path) -> None:
    run(stack, folder, "numpy_array.py", "overlay.png")
    with Image.open(folder / "overlay.png") as overlay:
        assert overlay.width >= 256


def test_the_notebook_shows_the_job_the_overlay_and_the_mask(
    stack: RunningStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKRELAY_URL", stack.url)
    monkeypatch.setenv("MASKRELAY_API_KEY", stack.api_key)
    notebook = nbformat.read(EXAMPLES / "first_masks.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = {cell["id"]: cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"}
    assert "<table>" in outputs["submit"][-1]["data"]["text/html"]
    assert "image/png" in outputs["overlay"][0]["data"]
    assert outputs["mask"][0]["text"] == "(256, 256) bool True\n"
