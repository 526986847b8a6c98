"""`maskrelay audit verify` and `maskrelay audit show`: verify and print the audit log. Both read only storage."""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from maskrelay.admin.audit_chains import Break, verify
from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import AuditEntry, hour_of
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.settings import Settings
from maskrelay.storage.factory import open_configured
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import parsed, unreadable


def add(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "audit", help="verify or show the audit log (for operators: reads the store directly)"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verifying = actions.add_parser("verify", help="check that no file of the log is changed, missing or not closed")
    verifying.set_defaults(run=_verify)
    showing = actions.add_parser("show", help="print entries, one JSON object per line")
    showing.set_defaults(run=_show)
    showing.add_argument("--job", metavar="ID", help="only entries about this job")
    showing.add_argument("--tenant", help="only entries of this tenant's callers")
    showing.add_argument("--since", default="", metavar="HOUR", help="start at this hour, e.g. 2026-11-25T09 (UTC)")


def _verify(_given: argparse.Namespace) -> int:
    settings, storage = _opened()
    now = datetime.now(UTC)
    kept, opens = hour_of(now - settings.audit_lifetime), hour_of(now)
    try:
        found = verify(storage, kept)
    except Break as broken:
        for found_break in (broken, *broken.others):
            sys.stderr.write(f"maskrelay: {found_break.key}: {found_break}\n")
        return 1
    ended = [key for key in found.unclosed if key < keys.audit_hour(opens)]
    for key in ended:
        sys.stdout.write(f"note: {key}: its process ended without closing the file; the last entries may be missing\n")
    if found.lost:
        sys.stdout.write(f"note: {found.lost} entries were lost while the store was unavailable\n")
    running = len(found.unclosed) - len(ended)
    sys.stdout.write(f"{found.files} files, {found.entries} entries, {found.processes} processes, {running} open\n")
    return 0


def _show(given: argparse.Namespace) -> int:
    _, storage = _opened()
    wanted = {name: getattr(given, name) for name in ("job", "tenant") if getattr(given, name)}
    for entry in _entries(storage, given.since):
        if all(getattr(entry, name) == value for name, value in wanted.items()):
            sys.stdout.write(entry.line().decode())
    return 0


def _entries(storage: Storage, since: str) -> Iterator[AuditEntry]:
    """Yield the entries from the hour `since` on, ordered by hour, process and time. Report files that cannot be read.

    The seals are left out.
    """
    for key in storage.list(keys.AUDIT, keys.AUDIT + since):
        try:
            lines = storage.get(key).splitlines()[:-1]
        except ObjectMissing:  # the file was removed after it was listed, because its retention period was over
            continue
        try:
            if not keys.AUDIT_FILE.fullmatch(key):
                raise unreadable(key)
            yield from [parsed(line, AuditEntry, key) for line in lines]
        except RecordUnreadable:
            sys.stderr.write(f"maskrelay: {key}: cannot be read as a file of the audit log\n")


def _opened() -> tuple[Settings, Storage]:
    settings = Settings.from_environment(os.environ)
    return settings, open_configured(settings)
