"""The compose file as it is, and its services as processes of this machine."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.packaging.dockerfile import stages

ROOT = Path(__file__).parent.parent.parent
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def load(**variables: str) -> dict[str, Any]:
    """The file with these variables set and every other at its default, merged keys resolved."""
    read: dict[str, Any] = _interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), variables)
    return read


def _interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _interpolated(one, variables) for name, one in node.items()}
    if isinstance(node, list):
        return [_interpolated(one, variables) for one in node]
    return _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2], node) if isinstance(node, str) else node


@dataclass(frozen=True)
class Placed:
    """Where what a service names in its network and its root lies on this machine: text for text."""

    places: Mapping[str, str]

    def put(self, text: str) -> str:
        """`text` with every place that it names replaced, at one go: what was put is not looked at again."""
        named = "|".join(map(re.escape, sorted(self.places, key=len, reverse=True)))
        return re.sub(named, lambda found: self.places[found[0]], text)

    def command(self, service: Mapping[str, Any]) -> list[str]:
        """What the container would run: the service's entry point, or its image's, and its command."""
        entry = service.get("entrypoint") or _entry_point(service["build"]["target"])
        return self.program([*entry, *service.get("command", ())])

    def check(self, service: Mapping[str, Any]) -> list[str]:
        """The service's health check as a command."""
        kind, *command = service["healthcheck"]["test"]
        assert kind == "CMD"
        return self.program(command)

    def program(self, command: list[str]) -> list[str]:
        program, *arguments = map(self.put, command)
        return [sys.executable if program == "python" else program, *arguments]

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        return {name: self.put(value) for name, value in service.get("environment", {}).items()}


def _entry_point(target: str) -> list[str]:
    every = stages((ROOT / "Dockerfile").read_text())
    said = dict(every[every[target][0]][1])
    entry: list[str] = yaml.safe_load(said["ENTRYPOINT"])
    return entry
