"""What the package, the citation and the images say of themselves agrees, and the wheel holds what it promises."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import yaml
from trove_classifiers import classifiers

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_version_and_licence_are_the_same_everywhere() -> None:
    version, licence = PROJECT["version"], PROJECT["license"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', (ROOT / "Dockerfile").read_text()))
    chart = yaml.safe_load((ROOT / "helm" / "maskrelay" / "Chart.yaml").read_text())
    assert {version} == {CITATION["version"], labels["version"], str(chart["appVersion"])}
    assert {licence} == {CITATION["license"], labels["licenses"]}
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert metadata("maskrelay")["Version"] == version


def test_the_changelog_has_a_section_of_the_version_with_the_date_of_the_citation() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## \[(.+?)\](?: - (.+))?$", changelog, re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    assert (PROJECT["version"], str(CITATION["date-released"])) == sections[1]
    kinds = re.findall(r"^### (.+)$", changelog, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_metadata_is_true() -> None:
    assert set(PROJECT["classifiers"]) <= classifiers
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "maskrelay" / "py.typed").exists()
    assert [author["name"] for author in PROJECT["authors"]] == [author["name"] for author in CITATION["authors"]]


def test_each_hook_and_the_workflow_run_what_the_project_has() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in local["hooks"]} == {
        f".venv/bin/{name}" for name in ("ruff", "mypy", "lint-imports")
    }
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
    assert any(step.get("run", "").endswith(".ci/run") for step in steps)
