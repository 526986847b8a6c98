"""Traces of a job, from its submission to its callbacks. If tracing is off, no tracing library is imported."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

#: The kind of a span: `server` handles a request from outside, `client` sends a request, `consumer` processes waiting
#: work, and `internal` is anything else.
Kind = Literal["server", "client", "consumer", "internal"]


class Span(Protocol):
    """One operation in a trace."""

    #: The value that is passed to work that continues this trace (W3C Trace Context). If tracing is off, it is the
    #: argument `within` of `Spans.span`.
    traceparent: str | None

    def note(self, **attributes: str | int) -> None:
        """Add attributes to the span. They may be ids, numbers and codes, but never patient data."""


class Spans(Protocol):
    """The factory of spans. Each process has one, which must be created after the process was forked."""

    def span(
        self,
        name: str,
        within: str | None = None,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        """Wrap the block in a span.

        Its parent is the current span. If there is none, its parent is the span with the traceparent `within`. `links`
        are the traceparents of other spans whose work this span continues. If the block raises an exception, the code
        or type of the exception is recorded in the span, but never its message.
        """

    def here(self) -> str | None:
        """Return the traceparent of the current span, or None if there is no current span."""

    def end(self) -> None:
        """Send the remaining spans. Call this when the process ends."""


class Untraced:
    """The implementation of `Spans` if tracing is off. The traceparent `within` is passed on unchanged."""

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
        """Only run the block."""
        yield _NoSpan(within)

    def here(self) -> str | None:
        """Return None, because there is never a current span."""
        return None

    def end(self) -> None:
        """Do nothing."""


class _NoSpan:
    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def note(self, **attributes: str | int) -> None:
        pass
