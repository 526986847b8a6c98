"""Names of saved artifacts: safe components of a path, made from what the service and the sources say."""

import re
import unicodedata
from urllib.parse import unquote

import httpx

_LONGEST_NAME = 150
_ALLOWED = re.compile(r"[^\w.()+=@,-]+")
#: Splits a name into its stem and its ending. Endings are `.mask.png`, `.labels.nii.gz`, `.seg.dcm` and the like. The
#: dots of a UID belong to the stem.
_ENDING = re.compile(r"(.+?)((?:\.[a-z][a-z0-9-]{1,14}){1,3})", re.DOTALL)


def safe_name(name: str) -> str:
    """Return a file name of one path component: not hidden, not too long, without separators and control characters."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = _ALLOWED.sub("_", plain).lstrip(".")
    stem, dot, end = plain.rpartition(".")
    if dot and len(end) <= 8:
        room = _LONGEST_NAME - len(end.encode()) - 1
        plain = f"{_cut(stem, room)}.{end}"
    return _cut(plain, _LONGEST_NAME) or "artifact"


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")


def folders_of(source_name: str | None) -> list[str]:
    """Return the folders in a source's name, each as a safe component. A name without folders gives none."""
    *folders, _ = (source_name or "").replace("\\", "/").split("/")
    return [safe_name(folder) for folder in folders if folder not in {"", ".", ".."}]


def inserted(name: str, word: str) -> str:
    """Return the name with a word inserted before its ending: `a.mask.png` becomes `a-word.mask.png`."""
    parts = _ENDING.fullmatch(name)
    stem, ending = (parts[1], parts[2]) if parts else (name, "")
    return safe_name(f"{stem}-{word}{ending}")


def given_name(headers: httpx.Headers) -> str | None:
    """Return the file name in Content-Disposition (RFC 6266). The extended form has priority."""
    given = headers.get("content-disposition", "")
    extended = re.search(r"filename\*\s*=\s*utf-8''([^;]+)", given, re.IGNORECASE)
    if extended:
        return unquote(extended[1].strip())
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', given, re.IGNORECASE)
    return re.sub(r"\\(.)", r"\1", plain[1] or plain[2]) if plain else None


def given_sha256(headers: httpx.Headers) -> str | None:
    """Return the SHA-256 of the artifact, from its ETag, or None.

    A proxy that compresses a response makes its ETag weak (`W/"…"`). The hash is still that of the decoded body.
    """
    tag = headers.get("etag", "").removeprefix("W/").strip('"')
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None
