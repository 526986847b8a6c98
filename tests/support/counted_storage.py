"""A storage that counts how often each object is read."""

from collections import Counter
from typing import Any

from maskrelay.storage.protocol import Storage


class CountedStorage:
    """A storage that counts how often each object is read at once, by key. It is otherwise that of `inner`."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.read: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get(self, key: str, *range_: Any) -> bytes:
        self.read[key] += 1
        return self._inner.get(key, *range_)
