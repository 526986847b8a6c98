import json
import re
import time
from pathlib import Path

from maskrelay.callbacks.signature import derive_secret, sign
from maskrelay.errors import tree
from maskrelay.settings import Settings, name_of
from tools.dashboard import dashboard
from tools.generate_docs import (
    chart_settings,
    errors_page,
    http_api_page,
    openapi_document,
    settings_page,
    tables_page,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"
SAY = "run `make docs` and commit what it writes"


def test_the_pages_are_what_the_code_says_now() -> None:
    assert (DOCS / "reference" / "settings.md").read_text() == settings_page(), SAY
    assert (DOCS / "reference" / "errors.md").read_text() == errors_page(), SAY
    assert (DOCS / "reference" / "tables.md").read_text() == tables_page(), SAY
    assert (DOCS / "reference" / "openapi.json").read_text() == openapi_document(), SAY
    assert (DOCS / "reference" / "http-api.md").read_text() == http_api_page(), SAY
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


def test_every_call_webhook_and_schema_has_its_place_on_the_page_of_the_http_api() -> None:
    page, document = http_api_page(), json.loads(openapi_document())
    calls = [f"### {method.upper()} {path}\n" for path, found in document["paths"].items() for method in found]
    assert {call: page.count(call) for call in calls} == dict.fromkeys(calls, 1)
    schemas = [f"### {name}\n" for name in document["components"]["schemas"]]
    assert {name: page.count(name) for name in schemas} == dict.fromkeys(schemas, 1)
    assert {f"| `{name}` |" in page for name in document["webhooks"]} == {True}


def test_the_pages_example_verifies_what_the_service_signs_and_nothing_else() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", http_api_page(), re.DOTALL)
    names: dict = {}
    exec(example, names)
    secret, now = derive_secret(b"a server key of the tests", "job"), int(time.time())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, "evt_1", now, b"{}"),
    }
    assert names["is_genuine"](secret, headers, b"{}")
    assert not names["is_genuine"](secret, headers, b"{ }")
    old = headers | {"webhook-timestamp": str(now - 301), "webhook-signature": sign(secret, "evt_1", now - 301, b"{}")}
    assert not names["is_genuine"](secret, old, b"{}")
