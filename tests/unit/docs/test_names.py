"""Whatever a page, a deployment or an example names of the settings exists."""

import re
from pathlib import Path

import pytest

from maskrelay.settings import CLIENT_NAMES, Settings, name_of, secret_files

ROOT = Path(__file__).resolve().parents[3]
KNOWN = {*map(name_of, Settings.model_fields), *secret_files(), *CLIENT_NAMES}
PLACES = [
    "README.md",
    "docker-compose.yml",
    "Makefile",
    "docs/**/*.md",
    "deploy/compose/**/*",
    "helm/**/*.*",
    "simulator/README.md",
]
FILES = sorted(path for place in PLACES for path in ROOT.glob(place) if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bMASKRELAY_[A-Z0-9_]*[A-Z0-9]\b(?!\*)", path.read_text()))
    assert named - KNOWN == set()
