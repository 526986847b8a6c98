"""The root of the tree, and the error of a process that cannot start."""

import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What the service answered, on an error that the client raises for it."""

    #: The HTTP status.
    status: int
    #: The error's code, which a newer service may have and this client not know.
    code: str
    retry_after_s: float | None = None
    #: The JSON pointer of each place that is wrong, and what is wrong there.
    places: tuple[tuple[str, str], ...] = ()
    trace_id: str | None = None


class MaskrelayError(Exception):
    """Something went wrong inside maskrelay."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    #: On an error that the client raises for an answer of the service.
    answer: ServiceAnswer | None = None

    def __init_subclass__(cls) -> None:
        """A class's code is its name: renaming one changes what callers see."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.message()
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        """The first paragraph of the class's docstring on one line."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def code_of(error: BaseException) -> str:
    """The error's code; of one that is not of the tree the name of its class, and never its words."""
    return error.code if isinstance(error, MaskrelayError) else type(error).__name__


class SettingsError(MaskrelayError):
    """A setting is missing, unknown or contradicts another."""

    def __init__(self, detail: str | None = None, *, names: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        #: The names of the settings that are wrong.
        self.names = names
