"""Places where the sources of a test are, and their credentials and pins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.sources.source_readers import SourceReaders

#: The bearer token of the web server.
TOKEN = "a-token-of-the-archive"


@dataclass(frozen=True)
class Place:
    """Where the objects of a test are. `base` is the prefix that the tenant may read."""

    base: str
    entry: dict[str, Any]
    put: Callable[[str, bytes], None]
    delete: Callable[[str], None]


def in_folder(folder: Path, base: str, entry: dict[str, Any]) -> Place:
    """Return the place whose objects are the files of this folder."""

    def put(name: str, body: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)

    return Place(base, entry, put, lambda name: (folder / name).unlink())


def https_credential(url: str, **more: Any) -> dict[str, Any]:
    """Return the entry of a web server at a loopback address that the tenant `north` may read."""
    kind = {"kind": "https", "reads": {"north": [f"{url}/"]}, "secret": f"Bearer {TOKEN}", "allow": ["127.0.0.1"]}
    return {"name": "web", **kind, **more}


def pinned(readers: SourceReaders, url: str, name: str) -> PinnedSource:
    """Return the object with the size and the version that it has now."""
    facts = readers.stat("north", url, None)
    return PinnedSource(url=url, tenant="north", credential=name, size=facts.size, etag=facts.etag)
