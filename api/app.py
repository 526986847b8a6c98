"""The API application, built from the settings of the environment: `uvicorn api.app:create --factory`."""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from api.auth.api_keys import KeysFile
from api.auth.oidc import tokens_of
from api.auth.scopes import check_scope
from api.auth.sign_in import sign_in_of
from api.dependencies import (
    Dependencies,
    Limits,
    check_own_database,
    in_thread,
)
from api.dependencies.archive import Archive
from api.dependencies.change_listener import ChangeListener
from api.dependencies.end_listener import JobEndListener
from api.dependencies.lifespan import living
from api.dependencies.unrecorded_jobs import UnrecordedJobs
from api.http.middleware.authentication import Authentication
from api.http.middleware.plain_requests import PlainRequests
from api.http.middleware.problems import Problems, framework_problem
from api.http.middleware.request_audit import RequestAudit
from api.http.middleware.request_metrics import RequestMetrics
from api.http.middleware.unread_bodies import UnreadBodies
from api.http.middleware.web_page import WebPage
from api.routes import ACCESS, OPERATORS, PUBLIC, add_routes
from api.routes.openapi import describe
from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.errors import LedgerUnavailable, StorageUnavailable
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.broker import Publisher, broker
from maskrelay.ledger.ownership import OwnDatabase
from maskrelay.ledger.quotas import default_quotas
from maskrelay.network.certificates import client_context
from maskrelay.settings import Settings
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.factory import open_configured, try_at_start
from maskrelay.storage.protocol import Storage
from maskrelay.storage.store_health import StoreHealth
from maskrelay.storage.store_identity import store_id
from maskrelay.telemetry import logs
from maskrelay.telemetry.tracing import open_spans
from maskrelay.threads import end_process_with_threads

#: The methods and headers that pages of the origins in MASKRELAY_CORS_ORIGINS may use. API keys are sent in a header,
#: never as a cookie.
_CORS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Modified-Since",
        "If-None-Match",
        "Last-Event-ID",
        "Prefer",
        "Range",
        "If-Range",
    ],
    "expose_headers": ["Content-Disposition", "Content-Range", "ETag", "Link", "Location", "Retry-After"],
    "max_age": 3600,
}


def create() -> ASGIApp:
    """Return the API for the settings of the environment. Raises SettingsError.

    If the store or Redis does not respond yet, no error is raised. The API is not ready until both respond.
    """
    settings = Settings.from_environment(os.environ)
    _configure_logs(settings)
    end_process_with_threads()
    client_context()  # raises SettingsError if the certificate file cannot be used
    storage = open_configured(settings)
    try_at_start(storage)
    ledger = _ledger(settings)
    database = OwnDatabase(ledger.scripts, partial(store_id, storage))
    with suppress(StorageUnavailable, LedgerUnavailable):
        database.check_at_start()
    return build(settings, ledger, storage, database.check)


def _configure_logs(settings: Settings) -> None:
    """Let the server write its own log lines, about startup and errors, to the log of this service."""
    logs.configure(settings.log_level, settings.log_format)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def build(
    settings: Settings, ledger: Ledger, storage: Storage, check_database: Callable[[], None] = lambda: None
) -> ASGIApp:
    """Return the API for this ledger and store.

    `check_database` raises an error until it is certain that the ledger belongs to the store.
    """
    settings.require("keys_file")
    keys, tokens = KeysFile.open(Path(str(settings.keys_file))), tokens_of(settings)
    audit, spans = AuditLog(storage, "api"), open_spans(settings.otlp_endpoint, "api")
    health = StoreHealth(storage)
    ends, changes = JobEndListener(ledger.notifications), ChangeListener(ledger.notifications)
    sign_in = sign_in_of(settings)

    @asynccontextmanager
    async def serving(_app: FastAPI) -> AsyncIterator[None]:
        async with living(ledger, ends, changes):
            yield
        await in_thread(audit.close)
        await in_thread(spans.end)

    app = FastAPI(
        title="maskrelay",
        version=version("maskrelay"),
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(check_scope), Depends(check_own_database)],
        lifespan=serving,
        redirect_slashes=False,
    )
    app.state.service = Dependencies(
        ledger=ledger,
        storage=storage,
        check_database=check_database,
        archive=Archive(storage),
        health=health,
        guard=AddressGuard(settings.callback_allow),
        credentials=CredentialFile.open(settings.credentials_file),
        server_keys=settings.server_keys,
        limits=_limits(settings),
        quotas=partial(keys.quotas, default=default_quotas(settings)),
        sign_in=sign_in,
        ends=ends,
        changes=changes,
        unrecorded=UnrecordedJobs(ledger.sweep_state),
        public_url=settings.public_url.rstrip("/") if settings.public_url else None,
        presigned_lifetime=settings.presigned_lifetime,
        frames_per_worker=settings.frames_per_child * settings.segment_children,
        spans=spans,
    )
    app.state.access = ACCESS
    app.state.registry = CollectorRegistry()
    add_routes(app)
    describe(app)
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, framework_problem)
    # The middleware that is added last is the outermost.
    app.add_middleware(
        Authentication,
        keys=keys,
        tokens=tokens,
        max_body_bytes=settings.max_body_bytes,
        public=PUBLIC,
        operators=OPERATORS,
        metrics_key=_metrics_key(settings),
    )
    app.add_middleware(WebPage, origins=sign_in.origins)
    app.add_middleware(Problems, store_failed=health.failed)
    app.add_middleware(RequestAudit, audit=audit)
    app.add_middleware(UnreadBodies)
    app.add_middleware(RequestMetrics, registry=app.state.registry)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **_CORS)
    app.add_middleware(PlainRequests)
    return app


def _metrics_key(settings: Settings) -> str | None:
    return settings.metrics_key.get_secret_value() if settings.metrics_key is not None else None


def _limits(settings: Settings) -> Limits:
    return Limits(
        body_bytes=settings.max_body_bytes,
        image_bytes=settings.max_image_bytes,
        items=settings.max_items,
        prompts=settings.max_prompts,
        prompt_length=settings.max_prompt_length,
        upload_lifetime=settings.upload_lifetime,
    )


def _ledger(settings: Settings) -> Ledger:
    url = settings.redis_url.get_secret_value()
    app = broker(url, visibility_timeout=settings.visibility_timeout)
    return open_ledger(
        url,
        Publisher(app),
        claim_lease=settings.claim_lease,
        step_lease=settings.step_lease,
        delivery_lease=settings.delivery_lease,
    )
