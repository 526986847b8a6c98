"""Another version of the service: a source tree of its own, with another version number and other script hashes."""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path

import redis

from maskrelay.ledger.scripts import texts

ROOT = Path(__file__).parents[3]
PRESENT, NEXT = version("maskrelay"), "99.1.0"
_PRELUDE = "maskrelay/ledger/scripts/prelude-1-keys.lua"
_ADDED = f"-- of release {NEXT}\n"


def next_release(folder: Path) -> Path:
    """Create the tree of the next version in `folder`.

    A process that runs there imports from there and has its version.
    """
    tree = folder / "release"
    for package in ("api", "maskrelay", "worker"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tree / _PRELUDE).open("a") as prelude:
        prelude.write(_ADDED)
    installed = tree / f"maskrelay-{NEXT}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: maskrelay\nVersion: {NEXT}\n")
    return tree


def ran_by_the_next(client: "redis.Redis") -> set[str]:
    """Return the names of the scripts that a process of the next version has run."""
    prelude = (ROOT / _PRELUDE).read_text()
    found = texts()
    theirs = [text.replace(prelude, prelude + _ADDED).encode() for text in found.values()]
    known = client.script_exists(*(hashlib.sha1(text).hexdigest() for text in theirs))
    return {name for name, exists in zip(found, known, strict=True) if exists}
