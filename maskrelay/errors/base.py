"""The root of the error tree, and the error of a process that cannot start."""

import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """An answer of the service that reports an error. The client raises the error and attaches this answer to it."""

    #: The HTTP status.
    status: int
    #: The code of the error. The client may not know the code if the service is newer than the client.
    code: str
    retry_after_s: float | None = None
    #: For each part of the request that is wrong, its JSON pointer and a description of the problem.
    places: tuple[tuple[str, str], ...] = ()
    trace_id: str | None = None


class MaskrelayError(Exception):
    """Something went wrong inside maskrelay."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    #: The answer of the service, if the client raised this error because of an answer.
    answer: ServiceAnswer | None = None

    def __init_subclass__(cls) -> None:
        """Set the code of the class to its name in lower case. Callers see the code, so do not rename the class."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, detail: str | None = None) -> None:
        self.detail: str = detail or self.message()
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        """Return the first paragraph of the class's docstring on one line."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def code_of(error: BaseException) -> str:
    """Return the code of an error. If it is not an error of this tree, return the name of its class.

    The message of an error outside of this tree is never returned, because it may quote private data.
    """
    return error.code if isinstance(error, MaskrelayError) else type(error).__name__


class SettingsError(MaskrelayError):
    """A setting is missing, unknown, or contradicts another setting."""

    def __init__(self, detail: str | None = None, *, names: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        #: The names of the settings that are wrong.
        self.names = names
