"""Verify the audit log: every file matches its seal and links to the previous file, and no file is missing.

A file is *closed* if its seal says that the process wrote no further file in the same hour.
"""

import hashlib
from dataclasses import dataclass, field

from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import Before, Seal, unsealed
from maskrelay.errors import KeyInvalid, ObjectMissing
from maskrelay.storage.protocol import Storage


class Break(Exception):
    """An error in a file of the log. `key` is the key of the file, and `others` are the breaks of other processes."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key
        self.others: tuple[Break, ...] = ()


@dataclass(slots=True)
class Found:
    """What an unbroken log contains.

    `unclosed` lists the last file of each process whose last file is not closed. Such a process is still running, or
    ended without closing the file.
    """

    files: int = 0
    entries: int = 0
    lost: int = 0
    processes: int = 0
    unclosed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Last:
    """The file of a process that was read most recently, and whether the file is closed."""

    file: Before
    closed: bool

    def hour(self) -> str:
        return _hour(self.file.key)


def verify(storage: Storage, kept: str) -> Found:
    """Read every file from the hour `kept` on, and check it. Raises Break if the log is broken.

    The log is broken if a file is changed or missing, or if a file is not closed although its process wrote files in a
    later hour. After a break, the remaining files of the same process are not checked. The attribute `others` of the
    error contains the breaks of other processes.

    Files from before the hour `kept` may be missing, because retention removes them. The check cannot notice that
    someone has removed the last files of a process, or all of its files. To prevent such a removal, use a store in
    which nobody can remove objects.
    """
    found = Found()
    chains: dict[str, _Last] = {}
    breaks: dict[str, Break] = {}
    for key in storage.list(keys.AUDIT, keys.audit_hour(kept)):
        name = keys.AUDIT_FILE.fullmatch(key)
        process = name[2] if name else key
        if process in breaks:
            continue
        try:
            chains[process] = _next(storage, key, chains.get(process), kept, found)
        except Break as broken:
            breaks[process] = broken
    if breaks:
        first, *others = breaks.values()
        first.others = tuple(others)
        raise first
    found.processes = len(chains)
    found.unclosed = sorted(last.file.key for last in chains.values() if not last.closed)
    return found


def _next(storage: Storage, key: str, last: _Last | None, kept: str, found: Found) -> _Last:
    """Check the file `key`, and add its numbers to `found`. Return the file as the most recent one of its process.

    `last` is the previous file that was read of the same process, or None if `key` is the first. Raises Break.
    """
    if not keys.AUDIT_FILE.fullmatch(key):
        raise Break(key, "not a file of the audit log")
    body = _read(storage, key)
    seal = _sealed(key, body)
    _check_tied(storage, key, seal, last, kept)
    found.files += 1
    found.entries += seal.lines
    found.lost += seal.lost
    return _Last(Before(key=key, sha256=_digest(body)), seal.closed)


def _read(storage: Storage, key: str) -> bytes:
    try:
        return storage.get(key)
    except ObjectMissing:
        raise Break(key, "missing") from None
    except KeyInvalid:
        raise Break(key, "a seal names this file, but the name is not a valid object key") from None


def _sealed(key: str, body: bytes) -> Seal:
    try:
        return unsealed(body)[1]
    except ValueError as error:
        raise Break(key, str(error)) from None


def _check_tied(storage: Storage, key: str, seal: Seal, last: _Last | None, kept: str) -> None:
    """Check that the previous file is the one that the seal of `key` names, and that it is unchanged. Raises Break.

    The previous file must also be closed if `key` belongs to a later hour. If `last` is None, no file of the process
    was read before. Then the seal must name no previous file, or one from before the hour `kept`.
    """
    before = seal.before
    if last is None:
        if before is not None and before.key > keys.audit_hour(kept):
            raise Break(before.key, "missing")
        return
    last = _caught_up(storage, key, before, last)
    if _hour(key) != last.hour() and not last.closed:
        raise Break(last.file.key, "not closed, although its process continued to write")


def _caught_up(storage: Storage, key: str, before: Before | None, last: _Last) -> _Last:
    """Return the file `before`, which the seal of `key` names as the previous file. Raises Break.

    Usually, this file is `last`. But if the process wrote more files while the log was being listed, the list may lack
    some of them. Therefore, the seals are followed back from `before` to `last`, and every file on the way is checked.
    """
    newest, at = last, before
    while at != last.file:
        if at is None:
            raise Break(key, "does not name the previous file")
        if at.key == last.file.key:
            raise Break(at.key, "changed since the next file was written")
        body = _read(storage, at.key)
        seal = _sealed(at.key, body)
        if at == before:
            newest = _Last(at, seal.closed)
        if at.sha256 != _digest(body):
            raise Break(at.key, "changed since the next file was written")
        at = seal.before
    return newest


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _hour(key: str) -> str:
    return key.removeprefix(keys.AUDIT).partition("/")[0]
