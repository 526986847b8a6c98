"""The choice of the collector that receives spans. If none is configured, tracing is off."""

import os

from maskrelay.telemetry.spans import Spans, Untraced

_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_spans(endpoint: str | None, process: str) -> Spans:
    """Return the spans of this process.

    They are sent to the collector at the base URL `endpoint`, or at the URL in the variables of OpenTelemetry. If
    neither is given, tracing is off. `process` is the name of this process, such as `segment`. The function starts a
    thread, so call it after the process was forked.
    """
    if endpoint is None and not any(os.environ.get(name) for name in _STANDARD):
        return Untraced()
    from maskrelay.telemetry.otlp import Otlp  # noqa: PLC0415  the import takes half a second and is rarely needed

    return Otlp.start(endpoint, process)
