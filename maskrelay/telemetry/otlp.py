"""Spans that the OpenTelemetry SDK exports in batches over OTLP/HTTP.

Sampling and headers are configured with the environment variables of OpenTelemetry.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests.adapters import HTTPAdapter

from maskrelay.network.certificates import ca_bundle
from maskrelay.network.proxies import proxy_for
from maskrelay.telemetry.spans import Kind, Span

_KINDS = {kind.name.lower(): kind for kind in trace.SpanKind}
_AUTHORITIES = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE")
_URLS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROPAGATOR = TraceContextTextMapPropagator()


class Otlp:
    """The spans of one process, which are exported to a collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("maskrelay")

    @classmethod
    def start(cls, endpoint: str | None, process: str) -> Self:
        """Start a thread that sends the spans to the collector at the base URL `endpoint` (see `open_spans`)."""
        named = {"service.name": "maskrelay", "service.version": version("maskrelay"), "maskrelay.process": process}
        provider = TracerProvider(resource=Resource.create(named))
        url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        exporter = OTLPSpanExporter(url, session=_session(url or _standard_url()))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    @contextmanager
    def span(
        self,
        name: str,
        within: str | None = None,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        **attributes: str | int,
    ) -> Iterator[Span]:
        """Wrap the block in a span (see `Spans.span`)."""
        is_inside = trace.get_current_span().get_span_context().is_valid
        with self._tracer.start_as_current_span(
            name,
            context=None if is_inside else _context(within),
            kind=_KINDS[kind],
            links=[trace.Link(trace.get_current_span(_context(link)).get_span_context()) for link in links],
            attributes=_named(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _OtlpSpan(span)
            except BaseException as error:
                span.set_status(trace.StatusCode.ERROR, str(getattr(error, "code", type(error).__name__)))
                raise

    def here(self) -> str | None:
        """Return the traceparent of the current span (see `Spans.here`)."""
        return _traceparent(trace.get_current_span())

    def end(self) -> None:
        """Send the remaining spans. If the collector does not respond, this takes up to the timeout of one export."""
        self._provider.shutdown()


def _standard_url() -> str:
    return next((os.environ[name] for name in _URLS if os.environ.get(name)), "http://localhost:4318")


class _Trusting(HTTPAdapter):
    """An adapter for the library requests that trusts the certificate authorities of this service."""

    def __init__(self) -> None:
        self._trusted = ca_bundle("REQUESTS_CA_BUNDLE", *_AUTHORITIES)
        super().__init__()

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002
        super().cert_verify(conn, url, self._trusted, cert)


def _session(url: str) -> requests.Session:
    """Return a session that uses the proxy from the environment.

    The proxy's URL is parsed as for all other connections. Raises SettingsError if the proxy's URL cannot be used.
    """
    proxy = proxy_for(url)
    session = requests.Session()
    session.trust_env = False
    session.proxies = {urlsplit(url).scheme: proxy.url} if proxy else {}
    session.mount("https://", _Trusting())
    return session


class _OtlpSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span)

    def note(self, **attributes: str | int) -> None:
        """Add attributes to the span (see `Span.note`)."""
        self._span.set_attributes(_named(attributes))


def _traceparent(span: trace.Span) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent")


def _context(traceparent: str | None) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, Context())


def _named(attributes: dict[str, str | int]) -> dict[str, str | int]:
    return {f"maskrelay.{name}": value for name, value in attributes.items()}
