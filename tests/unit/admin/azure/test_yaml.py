"""YAML for `az ml`, read back by an independent reader."""

import yaml
from hypothesis import given
from hypothesis import strategies as some

from maskrelay.admin.azure.yaml import as_yaml

NAMES = some.from_regex(r"[a-z$][a-z_]{0,8}[a-z]", fullmatch=True).filter(
    lambda name: name not in {"true", "false", "null", "yes", "no", "on", "off"}
)
PRINTABLE = some.text(some.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" \n\t"))
VALUES = some.integers() | PRINTABLE | some.sampled_from(["null", "On", "1e3", "0x1", "2026-01-01", "a: b", "~", "- a"])


@given(some.recursive(VALUES, lambda inner: some.dictionaries(NAMES, inner, min_size=1), max_leaves=8))
def test_another_reader_reads_what_was_written(value: object):
    assert yaml.safe_load(as_yaml({"one": value})) == {"one": value}
