"""Generate from the code: the pages of the settings, the errors, the result tables and the HTTP API, the OpenAPI
document, the settings that the chart may pass on, and the dashboard.

Run by `make docs`.
"""  # noqa: INP001

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.http.middleware.problems import status_of
from api.routes import add_routes
from api.routes.openapi import describe
from maskrelay.errors import (
    AzureError,
    ClientError,
    EndpointBusy,
    EndpointsUnknown,
    FrameRefused,
    IssuerUnavailable,
    ItemError,
    JobHalted,
    LedgerFull,
    LedgerUnavailable,
    MaskrelayError,
    RequestError,
    StorageUnavailable,
    tree,
)
from maskrelay.settings import CLIENT_NAMES, Settings, name_of, secret_files
from maskrelay.stack.stack_processes import SHORT_CLOCKS
from tools.dashboard import dashboard
from tools.http_api import http_api_blocks
from tools.tables_page import tables_blocks

_ROOT = Path(__file__).parent.parent
_REFERENCE = _ROOT / "docs" / "reference"
_CHART = _ROOT / "helm" / "maskrelay"
_GENERATED = "<!-- Written by `make docs` from the code; changes belong there. -->"
_STACK = {
    "PORT": ("`8080`", "The port on which `make up` listens, on the loopback interface."),
    "DATA": ("`.maskrelay`", "The folder in which `make up` keeps everything. Only one stack can use it at a time."),
}


def settings_page() -> str:
    """Every setting of every process."""
    fields = Settings.model_fields.items()
    service = [(f"`{name_of(name)}`", _default(field), field.description or "") for name, field in fields]
    client = [(f"`{name}`", "", meaning) for name, meaning in CLIENT_NAMES.items()]
    stack = [(f"`{name}`", default, meaning) for name, (default, meaning) in _STACK.items()]
    clocks = ", ".join(f"`{name}={value}`" for name, value in SHORT_CLOCKS.items())
    files = ", ".join(f"`{name}`" for name in secret_files())
    head = ("Name", "Default", "Meaning")
    return _page(
        "Settings",
        "Settings are environment variables. A misspelt `MASKRELAY_` name is an error that suggests the right name. "
        "Secrets have no defaults. Names that end in `_S` are numbers of seconds.",
        "## The API and the workers",
        _table(head, service),
        f"A secret can be in a file instead of the environment. The file is read once at the start. These variables "
        f"name it: {files}.",
        "The timeouts and leases must be in a certain order. Otherwise leases would expire while work is still in "
        "progress. A process refuses to start with values in another order, and the error names the two settings.",
        "## The client",
        _table(head, client),
        "## The embedded stack",
        _table(head, stack),
        "`make up` fills in what is not set: a Valkey for `MASKRELAY_REDIS_URL`, the simulator for "
        "`MASKRELAY_ENDPOINT_URL`, a folder for `MASKRELAY_STORAGE_URL`, one API key of the tenant `local` for "
        "`MASKRELAY_KEYS_FILE`, and `MASKRELAY_SERVER_KEY`, generated once and kept under `DATA`. With the simulator, "
        f"some times are shorter by default: {clocks}.",
    )


def chart_settings() -> str:
    """The settings that a chart's values may hold, one a line: all but secrets and the files that the chart places."""
    secret = {name_of(field) for field in (*secret_files().values(), "endpoint_key")}
    names = [name_of(field) for field in Settings.model_fields if not field.endswith("_file")]
    return "\n".join(name for name in names if name not in secret) + "\n"


def errors_page() -> str:
    """Every code that a caller can meet."""
    every = [kind for _, kind in tree()]
    requests: list[type[MaskrelayError]] = [
        kind for kind in every if issubclass(kind, RequestError) and kind is not RequestError
    ]
    requests += [StorageUnavailable, LedgerUnavailable, LedgerFull, EndpointsUnknown, IssuerUnavailable, MaskrelayError]
    items = [kind for kind in every if issubclass(kind, ItemError | FrameRefused) and not kind.__subclasses__()]
    halts = [kind for kind in every if issubclass(kind, JobHalted) and kind is not JobHalted]
    waits = [kind for kind in every if issubclass(kind, EndpointBusy) and kind is not EndpointBusy]
    client = [kind for kind in every if issubclass(kind, ClientError) and kind is not ClientError]
    azure = [kind for kind in every if issubclass(kind, AzureError) and kind is not AzureError]
    shown = {*requests, *items, *halts, *waits, *client, *azure}
    inside = [kind for kind in every if kind not in shown and not kind.__subclasses__()]
    return _page(
        "Errors",
        "A `code` is stable: programs can rely on the code, but not on the wording. *Again* says whether the same "
        "request can succeed later. New codes may be added; handle an unknown code by its HTTP status.",
        "## Responses to a request",
        "`application/problem+json` (RFC 9457) with `code`, `retryable`, `retry_after_s`, `errors` and `trace_id`.",
        _table(("Code", "Status", "Again", "Meaning"), [_row(kind, status_of(kind)) for kind in requests]),
        "## Errors of one item",
        "These appear in the `error` of an item or a frame. Other items are not affected.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in items]),
        "## Errors of a whole job",
        "These appear in the `error` of a job, with the code as its `reason`. A step of the service failed repeatedly, "
        "or the manifest or listing of a run cannot be used, and the job ended as `failed` without a result. Frames "
        "that were already segmented are kept. The job of a run can also end with a code of the tables above, such as "
        "`too_many_rejected` or `source_forbidden`.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in halts]),
        "## Why work waits",
        "These appear in logs as the reason of a closed gate. The work waits, and no attempt is counted for any frame.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in waits]),
        "## In the client",
        "These are raised by `maskrelay.client`. The service never returns them.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in client]),
        "## Of `maskrelay endpoint`",
        "These are printed to stderr, with Azure's own message and what to do next. The exit code is 3.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in azure]),
        "## Inside",
        "These appear only in logs.",
        _table(("Code", "Again", "Meaning"), [_row(kind) for kind in inside]),
    )


def openapi_document() -> str:
    """The OpenAPI document, as the API answers it."""
    app = FastAPI(title="maskrelay", version=version("maskrelay"))
    add_routes(app)
    describe(app)
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def http_api_page() -> str:
    """Every call, the callbacks and every schema of the API."""
    return _page("HTTP API", *http_api_blocks(json.loads(openapi_document())))


def tables_page() -> str:
    """Every column of the result tables."""
    return _page("Result tables", *tables_blocks())


def _row(kind: type[MaskrelayError], *status: int) -> tuple[str, ...]:
    return (f"`{kind.code}`", *map(str, status), "yes" if kind.retryable else "no", kind.message())


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined:
        return "*required*"
    if value is None or value == ():
        return ""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    return f"`{int(number) if isinstance(number, float) and number.is_integer() else number}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join([_GENERATED, f"# {title}", *blocks]) + "\n"


def main() -> None:
    (_REFERENCE / "settings.md").write_text(settings_page())
    (_REFERENCE / "errors.md").write_text(errors_page())
    (_REFERENCE / "openapi.json").write_text(openapi_document())
    (_REFERENCE / "http-api.md").write_text(http_api_page())
    (_REFERENCE / "tables.md").write_text(tables_page())
    (_CHART / "settings.txt").write_text(chart_settings())
    (_CHART / "dashboard.json").write_text(dashboard())


if __name__ == "__main__":
    main()
