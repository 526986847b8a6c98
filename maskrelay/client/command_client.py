"""The client of the command line: `Client` with the state of earlier runs, and with profiles."""

import argparse
import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskrelay.client.download import SavedFile, SaveRecord
from maskrelay.client.job_handles import Item, Job
from maskrelay.client.job_operations import item_page, job_page, saved_files, service_version
from maskrelay.client.run_state import RunState
from maskrelay.client.service_client import Client
from maskrelay.client.submission import Submission, submit
from maskrelay.contract.views.job_views import ItemList
from maskrelay.errors import SettingsError, UploadExpired, UploadUnknown

_FILE = "maskrelay.toml"
_MEMBERS = frozenset({"url", "api_key", "api_key_file"})


class CommandClient(Client):
    """A client whose submissions and saved files are remembered in a `RunState`."""

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._connection.service.url

    def submit_files(self, submission: Submission, state: RunState | None) -> Job:
        """Submit a job. Files that an earlier run has uploaded are not uploaded again."""
        if state is None:
            return Job.of(self, self._run(submit(submission)))
        recorded = replace(submission, record=state)
        try:
            return Job.of(self, self._run(submit(recorded)))
        except (UploadExpired, UploadUnknown):
            state.forget_uploads()
            return Job.of(self, self._run(submit(recorded)))

    def service_version(self) -> str:
        """Return the version of the service. This needs no API key."""
        return self._run(service_version())

    def check_key(self) -> None:
        """Ask for the newest job, which needs a key with the scope `read`."""
        self._run(job_page(1))

    def item_page(self, job_id: str, cursor: str | None, limit: int) -> ItemList:
        """Return the page of a job's items that begins at `cursor`."""
        return self._run(item_page(job_id, cursor, limit))

    def save_files(self, job_id: str, folder: Path, items: list[Item], record: SaveRecord) -> list[SavedFile]:
        """Save the artifacts of these items. What an earlier run has saved is not asked for again."""
        return self._run(saved_files(job_id, folder, record, list(items)))


def connect(given: argparse.Namespace) -> CommandClient:
    """Return a client for the profile of this command, or for the environment. Raises SettingsError."""
    return CommandClient(*address_and_key(given.profile))


def address_and_key(profile_name: str | None) -> tuple[str | None, str | None]:
    """Return the address and the API key of a profile, or of the environment. Each is None if it is not set.

    The environment has priority over the default profile, and a profile that the command names has priority over both.
    Raises SettingsError.
    """
    name = profile_name or os.environ.get("MASKRELAY_PROFILE")
    profile = read_profile(name)
    url, key = os.environ.get("MASKRELAY_URL"), os.environ.get("MASKRELAY_API_KEY")
    if name:
        return profile.get("url") or url, profile.get("api_key") or key
    return url or profile.get("url"), key or profile.get("api_key")


def read_profile(name: str | None) -> dict[str, str]:
    """Return the address and the key of a profile, or of the default profile if there is one.

    Raises SettingsError if there is no profile with this name, or if the file cannot be understood.
    """
    path = _path_of_profiles()
    document = _document(path)
    chosen = name or document.get("default")
    if chosen is None:
        return {}
    profiles = document.get("profiles", {})
    profile = profiles.get(chosen) if isinstance(profiles, dict) else None
    if not isinstance(profile, dict):
        known = ", ".join(sorted(profiles)) if isinstance(profiles, dict) and profiles else "none"
        raise SettingsError(f"{path} has no profile {chosen!r}. The profiles: {known}.")
    unknown = sorted(set(profile) - _MEMBERS)
    if unknown or not all(isinstance(value, str) for value in profile.values()):
        raise SettingsError(f"A profile in {path} has the members {', '.join(sorted(_MEMBERS))}, which are texts.")
    if "api_key_file" in profile:
        file = path.parent / Path(profile["api_key_file"]).expanduser()
        profile = {**profile, "api_key": _read(file, lambda text: text).strip()}
    return profile


def _path_of_profiles() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / _FILE


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document: dict[str, Any] = _read(path, tomllib.loads)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deep.") from None
    return document


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.") from None
