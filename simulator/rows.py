"""Parse `input_data` into rows, exactly as tolerant and as strict as the stock scoring script.

That script builds a pandas table, and the model's signature selects two of its columns by name. Which shapes are
accepted and refused was observed on `pandas.DataFrame(data=…, index=…, columns=…)`.
"""

from typing import Any


class ScriptError(Exception):
    """The scoring script would raise an exception here. The container then answers 500 without details."""


def rows_of(input_data: Any) -> list[tuple[str, str]]:
    """Return the (image, text) pairs of one request, in order.

    If there is a single row and a longer index, the row is repeated. With several rows, an index of another length
    raises. Raises ScriptError for everything that the table or the signature refuses.
    """
    if not isinstance(input_data, dict) or not isinstance(input_data.get("data"), list):
        raise ScriptError
    columns = input_data.get("columns")
    if not isinstance(columns, list) or not {"image", "text"}.issubset(map(str, columns)):
        raise ScriptError
    pairs = [_pair(row, columns) for row in input_data["data"]]
    return _indexed(pairs, input_data.get("index"))


def _pair(row: Any, columns: list[Any]) -> tuple[str, str]:
    if not isinstance(row, list) or len(row) != len(columns):
        raise ScriptError
    image, text = row[columns.index("image")], row[columns.index("text")]
    if not isinstance(image, str) or not isinstance(text, str):
        raise ScriptError
    return image, text


def _indexed(pairs: list[tuple[str, str]], index: Any) -> list[tuple[str, str]]:
    if index is None:
        return pairs
    if not isinstance(index, list) or len(pairs) not in (1, len(index)):
        raise ScriptError
    return pairs * len(index) if len(pairs) == 1 else pairs
