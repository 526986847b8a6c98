"""Writes what is in each image as a CycloneDX document, read off its lock: `python tools/sbom.py FOLDER`.

Needs `packaging` alone. Of the lock's lines those count that hold for Linux and the Python it runs on.
"""  # noqa: INP001

import json
import re
import sys
import tomllib
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

TARGETS = ("api", "worker", "simulator")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)(?: \(pyproject\.toml\))?$")
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


@dataclass(slots=True)
class Pinned:
    """One distribution of a lock: the files it may be installed from, and who asked for it."""

    requirement: Requirement
    hashes: list[str] = field(default_factory=list)
    via: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.requirement.name}@{next(iter(self.requirement.specifier)).version}"

    def is_installed(self) -> bool:
        marker = self.requirement.marker
        return marker is None or marker.evaluate({**_LINUX})


def read_lock(text: str) -> list[Pinned]:
    """The distributions of a lock that a Linux image of this Python holds."""
    pinned: list[Pinned] = []
    for line in text.splitlines():
        if re.match(r"[a-z0-9]", line):
            pinned.append(Pinned(Requirement(line.removesuffix("\\").strip())))
        elif found := _HASH.search(line):
            pinned[-1].hashes.append(found[1])
        elif via := _VIA.match(line):
            pinned[-1].via.append(via[1])
    return [one for one in pinned if one.is_installed()]


def document(target: str, version: str, pinned: list[Pinned]) -> dict[str, Any]:
    """The CycloneDX 1.6 document of an image; the same lock makes the same document."""
    refs = {one.requirement.name: one.purl for one in pinned}
    root = f"maskrelay-{target}@{version}"
    asked: dict[str, list[str]] = {root: [one.purl for one in pinned if "maskrelay" in one.via]}
    for name, ref in refs.items():
        asked[ref] = [one.purl for one in pinned if name in one.via]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([root, sorted(refs.values())]))}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": root, "name": f"maskrelay-{target}", "version": version}
        },
        "components": [_component(one) for one in pinned],
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs)} for ref, needs in asked.items()],
    }


def _component(one: Pinned) -> dict[str, Any]:
    name, _, version = one.purl.removeprefix("pkg:pypi/").partition("@")
    locked = [{"name": "maskrelay:locked-sha256", "value": value} for value in one.hashes]
    return {
        "type": "library",
        "bom-ref": one.purl,
        "name": name,
        "version": version,
        "purl": one.purl,
        "properties": locked,
    }


def main(folder: Path) -> None:
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    folder.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        pinned = read_lock(Path(f"requirements/{target}.lock").read_text())
        written = json.dumps(document(target, version, pinned), indent=1)
        (folder / f"{target}.cdx.json").write_text(written + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
