from pathlib import Path

from docs.dashboard import dashboard
from docs.generate import chart_settings, errors_page, settings_page
from maskrelay.errors import tree
from maskrelay.settings import Settings, name_of

DOCS = Path(__file__).resolve().parents[3] / "docs"
SAY = "run `make docs` and commit what it writes"


def test_the_pages_are_what_the_code_says_now() -> None:
    assert (DOCS / "settings.md").read_text() == settings_page(), SAY
    assert (DOCS / "errors.md").read_text() == errors_page(), SAY
    assert (DOCS.parent / "helm" / "maskrelay" / "settings.txt").read_text() == chart_settings(), SAY
    assert (DOCS.parent / "helm" / "maskrelay" / "dashboard.json").read_text() == dashboard(), SAY


def test_every_setting_has_a_row() -> None:
    page = settings_page()
    for field in Settings.model_fields:
        assert f"| `{name_of(field)}` |" in page
    assert "| `MASKRELAY_API_KEY` |" in page


def test_every_leaf_of_the_tree_has_exactly_one_row() -> None:
    page = errors_page()
    leaves = [kind for _, kind in tree() if not kind.__subclasses__()]
    assert {kind.code: page.count(f"| `{kind.code}` |") for kind in leaves} == {kind.code: 1 for kind in leaves}
