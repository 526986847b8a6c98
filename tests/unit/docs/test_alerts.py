"""Every alert has its row in the page of operations, and no row is of one that is none."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]


def test_every_alert_is_explained_once():
    groups = yaml.safe_load((ROOT / "helm" / "maskrelay" / "alerts.yml").read_text())["groups"]
    rules = [rule["alert"] for group in groups for rule in group["rules"]]
    explained = re.findall(
        r"^\| `(Maskrelay\w+)` \|", (ROOT / "docs" / "howto" / "operations.md").read_text(), re.MULTILINE
    )
    assert explained == rules
