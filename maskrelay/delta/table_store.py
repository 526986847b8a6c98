"""The calls of an object store that a table needs, and a limit on how long each of them may take."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from maskrelay.storage.protocol import BINARY, unavailable

T = TypeVar("T")
#: The seconds that one call may take, including its retries. A merged file has at most 64 MiB.
_LONGEST_CALL_S = 30.0


class TableStore(Protocol):
    """The part of `Storage` that a table needs. The methods raise the same errors."""

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None: ...

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None: ...

    def get(self, key: str) -> bytes: ...

    def list(self, prefix: str, after: str = "") -> Iterator[str]: ...

    def delete(self, key: str) -> None: ...


class BoundedStore:
    """A `TableStore` whose calls end within `longest_s` seconds.

    A call that takes longer raises StorageUnavailable. Its thread cannot be stopped: whether the call has an effect is
    unknown, as after a lost answer. Until it ends, every further call fails at once, so at most one thread hangs.
    """

    def __init__(self, store: TableStore, longest_s: float = _LONGEST_CALL_S) -> None:
        self._store = store
        self._longest_s = longest_s
        self._hanging: threading.Thread | None = None

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        self._bounded(lambda: self._store.create(key, body, content_type))

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        self._bounded(lambda: self._store.put(key, body, content_type))

    def get(self, key: str) -> bytes:
        return self._bounded(lambda: self._store.get(key))

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        return iter(self._bounded(lambda: tuple(self._store.list(prefix, after))))

    def delete(self, key: str) -> None:
        self._bounded(lambda: self._store.delete(key))

    def _bounded(self, call: Callable[[], T]) -> T:
        if self._hanging is not None and self._hanging.is_alive():
            raise unavailable("hanging")
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put((call(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that called
                answers.put((None, error))

        thread = threading.Thread(target=run, name="table", daemon=True)
        thread.start()
        try:
            result, error = answers.get(timeout=self._longest_s)
        except queue.Empty:
            self._hanging = thread
            raise unavailable("timeout") from None
        if error is not None:
            raise error
        found: T = result
        return found
