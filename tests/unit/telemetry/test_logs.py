"""Lines of logs: the same fields as text and as JSON, and none that is not named."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from celery.app.trace import build_tracer

from maskrelay.telemetry.logs import FIELDS, Flood, Format, configure

ROOT = Path(__file__).resolve().parents[3]
WORDS = "Erika Mustermann, born 1964"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def written(form: Format, **extra: object) -> str:
    out = io.StringIO()
    configure("info", form, out)
    log = logging.getLogger("worker.segment.loop")
    log.debug("not this")
    log.info("parked", extra=extra)
    try:
        int(WORDS)
    except ValueError:
        log.exception("unforeseen", extra=extra)
    return out.getvalue()


def test_a_line_of_json_has_its_fields_bound():
    parked, unforeseen = map(json.loads, written("json", job_id="j1", frame=7, code="throttled").splitlines())
    assert (parked["message"], parked["level"], parked["logger"]) == ("parked", "info", "worker.segment.loop")
    assert (parked["job_id"], parked["frame"], parked["code"]) == ("j1", 7, "throttled")
    assert parked["time"].endswith("+00:00")
    assert unforeseen["exception"].endswith("ValueError")
    assert "test_logs.py" in unforeseen["exception"]


def test_a_line_of_text_has_them_behind_its_words():
    parked, *rest = written("text", job_id="j1", frame=7).splitlines()
    assert parked.endswith("worker.segment.loop parked job_id=j1 frame=7")
    assert rest[-1] == "ValueError"


@pytest.mark.parametrize("form", ["text", "json"])
def test_neither_an_exceptions_words_nor_an_unknown_field_is_written(form: Format):
    told = written(form, job_id="j1", patient=WORDS, source_name=WORDS)
    assert "Erika" not in told
    assert "1964" not in told


def test_every_field_that_the_code_logs_is_written() -> None:
    code = [
        ast.parse(path.read_text()) for part in ("api", "worker", "maskrelay") for path in (ROOT / part).rglob("*.py")
    ]
    extras = [
        node.value
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict)
    ]
    named = {key.value for extra in extras for key in extra.keys if isinstance(key, ast.Constant)}
    assert {"job_id", "watch"} <= named
    assert named - set(FIELDS) == set()


def test_what_logs_addresses_is_kept_quiet():
    out = io.StringIO()
    configure("info", "json", out)
    logging.getLogger("httpx").info("GET http://10.1.2.3/score")
    assert out.getvalue() == ""


def test_one_cause_cannot_flood_the_log_and_the_others_are_still_written() -> None:
    stream, now = io.StringIO(), [0.0]
    handler = logging.StreamHandler(stream)
    handler.addFilter(Flood(3, 10.0, lambda: now[0]))
    log = logging.getLogger("tests.flooded")
    log.propagate = False
    log.addHandler(handler)

    def fail(number: int) -> None:
        log.warning("accept failed: %d", number)

    for number in range(1000):
        fail(number)
    log.warning("something else")
    now[0] = 11.0
    fail(1000)
    fail(1001)
    assert stream.getvalue().splitlines() == [
        "accept failed: 0",
        "accept failed: 1",
        "accept failed: 2",
        "something else",
        "accept failed: 1000 (997 more lines of this kind were left out)",
        "accept failed: 1001",
    ]


def test_a_task_that_fails_is_logged_by_the_kind_of_its_error_alone() -> None:
    out = io.StringIO()
    configure("info", "text", out)
    app = Celery("failing", broker="memory://", set_as_current=False)

    @app.task(name="fail", ignore_result=True)
    def fail() -> None:
        raise ValueError(WORDS)

    build_tracer("fail", fail, app=app)("an-id", (), {}, {"id": "an-id"})
    assert "Task fail[an-id] raised unexpected: ValueError" in out.getvalue()
    assert WORDS not in out.getvalue()
