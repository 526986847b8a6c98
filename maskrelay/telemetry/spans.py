"""Traces of a job from its submission to its callbacks. If tracing is off, nothing is imported for it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

#: `server`: handles a call from outside. `client`: calls outside. `consumer`: takes up waiting work.
Kind = Literal["server", "client", "consumer", "internal"]


class Span(Protocol):
    """One operation in a trace."""

    #: Passed to whatever continues from here (W3C Trace Context).
    traceparent: str | None

    def note(self, **attributes: str | int) -> None:
        """Add ids, numbers and codes; never patient data."""


class Spans(Protocol):
    """Creates spans. There is one per process, made after the fork."""

    def span(
        self,
        name: str,
        within: str | None = None,
        *,
        kind: Kind = "internal",
        links: Sequence[str] = (),
        **attributes: str | int,
    ) -> AbstractContextManager[Span]:
        """Wrap the block in a span. Its parent is the span that is open here, otherwise `within`.

        links: to other spans that it concludes. An error ends the span with its code or type, never with its message.
        """

    def here(self) -> str | None:
        """Return the traceparent of the span that is open here; None without one."""

    def end(self) -> None:
        """Send the remaining spans when the process ends."""


class Untraced:
    """Used if tracing is off. A given traceparent is passed on unchanged."""

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
        """Return None: no span is ever open."""
        return None

    def end(self) -> None:
        """Do nothing."""


class _NoSpan:
    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def note(self, **attributes: str | int) -> None:
        pass
