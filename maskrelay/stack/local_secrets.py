"""Secrets of the embedded stack, which it creates once and keeps in its data folder, readable only by the owner."""

import hashlib
import json
import os
import secrets
from pathlib import Path

#: The embedded stack has one user, who may also delete jobs.
_SCOPES = ("submit", "read", "admin")
_TENANT = "local"


def write_private(path: Path, text: str) -> None:
    """Write `text` with mode 0600, completely or not at all."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as written:
        written.write(text)
    new.replace(path)


def kept_secret(path: Path, prefix: str = "") -> str:
    """Return the secret stored at `path`. Create it first if it does not exist."""
    if not path.exists():
        write_private(path, prefix + secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


def write_keys(path: Path, api_key: str) -> None:
    """Write a keys file with `api_key` as the only key of the only tenant."""
    digest = hashlib.sha256(api_key.encode()).hexdigest()
    write_private(path, json.dumps([{"tenant": _TENANT, "sha256": digest, "scopes": list(_SCOPES)}], indent=2) + "\n")
