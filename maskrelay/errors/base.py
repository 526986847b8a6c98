"""The root of the tree, and the error of a process that cannot start."""

import re
from typing import Any, ClassVar


class MaskrelayError(Exception):
    """Something went wrong inside maskrelay."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """A class's code is its name: renaming one changes what callers see."""
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        self.detail = detail or self.message()
        self.fields = fields
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        """The first paragraph of the class's docstring on one line."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.detail, self.fields)


def code_of(error: BaseException) -> str:
    """The error's code; of one that is not of the tree the name of its class, and never its words."""
    return error.code if isinstance(error, MaskrelayError) else type(error).__name__


def _rebuild(cls: type[MaskrelayError], detail: str, fields: dict[str, Any]) -> MaskrelayError:
    return cls(detail, **fields)


class SettingsError(MaskrelayError):
    """A setting is missing, unknown or contradicts another."""
