"""Chooses where spans go. Nothing is traced, and nothing is imported for it, unless a collector is configured."""

import os

from maskrelay.telemetry.spans import Spans, Untraced

_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_spans(endpoint: str | None, process: str) -> Spans:
    """Return spans for the collector at the base URL `endpoint`, or at the one in OpenTelemetry's own variables.

    If neither is set, nothing is traced. process: the name of this process, such as `segment`. Starts a thread, so call
    it after the fork.
    """
    if endpoint is None and not any(os.environ.get(name) for name in _STANDARD):
        return Untraced()
    from maskrelay.telemetry.otlp import Otlp  # noqa: PLC0415  half a second of imports that are rarely needed

    return Otlp.start(endpoint, process)
