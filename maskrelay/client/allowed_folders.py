"""The folders that a program may use, and the check of each path that it names."""

from collections.abc import Sequence
from pathlib import Path

from maskrelay.client.input_files import FoundFiles, found_files
from maskrelay.errors import OptionInvalid, SourceMissing, SourceNotAllowed


class AllowedFolders:
    """Folders with everything below them. A symbolic link that leads out of them is refused.

    Messages contain a path only as the caller wrote it, so they say nothing about what is on the machine.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folder.resolve() for folder in folders)

    @classmethod
    def of(cls, folders: Sequence[Path]) -> "AllowedFolders":
        """Return the folders. Raises OptionInvalid if one of them is not a folder."""
        for folder in folders:
            if not folder.is_dir():
                raise OptionInvalid(f"{folder} is not a folder.")
        return cls(folders)

    def resolved(self, path: str) -> Path:
        """Return the path without symbolic links. A relative path begins at the first of the folders.

        Raises SourceNotAllowed.
        """
        try:
            resolved = (self._folders[0] / path).resolve()
        except (ValueError, RuntimeError, OSError):  # a null character, or links that form a circle
            raise SourceNotAllowed(f"{path!r} is not a path.") from None
        if not any(resolved.is_relative_to(folder) for folder in self._folders):
            raise SourceNotAllowed(f"{path!r} is not below a folder that this server may use.")
        return resolved

    def files(self, paths: Sequence[str]) -> FoundFiles:
        """Return the files that the paths name, each a file or a folder, without symbolic links.

        Raises SourceMissing, and SourceNotAllowed.
        """
        named = [self.resolved(path) for path in paths]
        for path, resolved in zip(paths, named, strict=True):
            if not (resolved.is_file() or resolved.is_dir()):
                raise SourceMissing(f"{path!r} does not exist, or is not a file or a folder.")
        found = found_files([str(path) for path in named], None)
        resolved_files = [file.resolve() for file in found.files]
        for file in resolved_files:
            if not any(file.is_relative_to(folder) for folder in self._folders):
                raise SourceNotAllowed("A symbolic link in a named folder leads out of the folders that may be used.")
        return FoundFiles(list(dict.fromkeys(resolved_files)), found.skipped)
