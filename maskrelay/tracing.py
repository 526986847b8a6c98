"""Traces of a job from its submission to its callbacks. If tracing is off, nothing is imported for it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

#: Who is asked: `server` is called from outside, `client` calls outside, `consumer` takes up what waited.
Kind = Literal["server", "client", "consumer", "internal"]
_STANDARD = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """One thing done. traceparent: what whoever goes on from here is given (W3C Trace Context)."""

    traceparent: str | None

    def note(self, **attributes: str | int) -> None:
        """Add ids, numbers and codes; never anything of a patient."""


class Spans(Protocol):
    """Where spans are begun; one a process, made after its fork."""

    def span(
        self,
        name: str,
        within: str | None = None,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        """A span around the block, in the one that is open here, else in `within`. links: of others that it ends.

        An error ends it with its code, or its kind, never with its words.
        """

    def here(self) -> str | None:
        """The traceparent of the span that is open here; None without one."""

    def end(self) -> None:
        """Send what is not sent yet; the process ends."""


class Untraced:
    """What is used where nothing is traced: who gave a traceparent finds it passed on as it came."""

    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002
        within: str | None = None,
        *,
        kind: Kind = "internal",  # noqa: ARG002
        links: Sequence[str] = (),  # noqa: ARG002
        **attributes: str | int,  # noqa: ARG002
    ) -> Iterator[Span]:
        """Nothing but the block."""
        yield _NoSpan(within)

    def here(self) -> str | None:
        """No span is ever open."""
        return None

    def end(self) -> None:
        """Nothing to send."""


class _NoSpan:
    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def note(self, **attributes: str | int) -> None:
        pass


def open_spans(endpoint: str | None, process: str) -> Spans:
    """Spans to the collector at this base address, or at the one that OpenTelemetry's own variables name; else none.

    process: what this process is, such as `segment`. Begins a thread: call after the fork.
    """
    if endpoint is None and not any(os.environ.get(name) for name in _STANDARD):
        return Untraced()
    from maskrelay.otlp import Otlp  # noqa: PLC0415  half a second of imports that few need

    return Otlp(endpoint, process)
