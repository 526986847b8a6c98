"""The files that a command line names: files, folders, patterns, a list, or the standard input."""

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maskrelay.contract.records.result_names import is_result, is_temporary
from maskrelay.errors import SourceMissing

#: Files that are never images. They are skipped, because each would count as a failure.
_NEVER_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "manifest.json"})
_NEVER_ENDINGS = frozenset(
    {".txt", ".md", ".rst", ".log", ".pdf", ".doc", ".docx", ".odt", ".rtf", ".xls", ".xlsx", ".ods", ".csv", ".tsv"}
    | {".parquet", ".json", ".jsonl", ".ndjson", ".xml", ".html", ".htm", ".yml", ".yaml", ".toml", ".ini", ".cfg"}
    | {".py", ".ipynb", ".r", ".m", ".sh", ".bat", ".exe", ".dll", ".so", ".db", ".sqlite", ".lnk", ".url", ".ps1"}
    | {".js", ".css", ".bval", ".bvec", ".part"}
)


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files to submit, each once, and the names of those that were skipped."""

    files: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    #: The content of the standard input, if it was named.
    standard_input: bytes | None = None

    def summary(self) -> str | None:
        """Return a line about the skipped files, or None if there are none."""
        if not self.skipped:
            return None
        kinds = Counter(path.suffix.lower() or path.name for path in self.skipped)
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        return f"{len(self.skipped)} files that are not images were skipped ({named})"


def found_files(given: Sequence[str], listed: str | None, left_out: Path | None = None) -> FoundFiles:
    """Return the files that the arguments and the list name.

    An argument is a file, a folder (with all its subfolders), a pattern such as `scans/**/*.dcm`, or `-` for one image
    on the standard input. `listed` is a file with one path in each line, or `-`. What is found below the folder
    `left_out`, to which the results are saved, and what jobs have written or are writing beside their sources, does not
    count, unless it is named itself. Raises SourceMissing for an argument that names nothing.
    """
    found = FoundFiles(standard_input=sys.stdin.buffer.read() if "-" in given else None)
    seen: set[str] = set()
    outputs = os.path.abspath(left_out) if left_out is not None else None  # noqa: PTH100 - links are not followed
    for argument in (*(word for word in given if word != "-"), *_lines(listed)):
        for path in _named_by(argument):
            whole = os.path.abspath(path)  # noqa: PTH100 - links are not followed
            is_output = outputs is not None and whole.startswith(outputs + os.sep) and path != Path(argument)
            is_output |= (is_result(path.name) or is_temporary(path.name)) and path != Path(argument)
            if whole in seen or is_output:
                continue
            seen.add(whole)
            (found.skipped if _is_never_an_image(path) else found.files).append(path)
    if not found.files and found.standard_input is None:
        raise SourceMissing(found.summary() or "There are no files in what was named.")
    return found


def _lines(listed: str | None) -> Iterator[str]:
    if listed is not None:
        text = sys.stdin.read() if listed == "-" else Path(listed).read_text(encoding="utf-8")
        yield from (line for line in text.splitlines() if line.strip())


def _named_by(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from _below(path)
    elif path.exists():
        yield path
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - an absolute pattern is allowed here
        if not matches:
            raise SourceMissing(f"{argument} matches no file")
        for match in map(Path, matches):
            if match.is_file():
                yield match
    else:
        raise SourceMissing(f"{argument} does not exist or is not a file")


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order of their paths. Hidden files and folders are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and (not name.startswith(".") or name.lower() in _NEVER_NAMES):
                yield path


def _is_never_an_image(path: Path) -> bool:
    return path.name.lower() in _NEVER_NAMES or path.suffix.lower() in _NEVER_ENDINGS
