"""The URLs of sources, in one canonical form, so that a prefix can be compared as text.

A key in a bucket (`s3`, `az`, `abfss`, `gs`) is used as it is written, without percent-decoding. The paths of `file`
and `https` URLs may contain percent-encoded characters. Those of `file` URLs may contain any percent-encoded byte,
because the name of a file need not be text.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from maskrelay.errors import SourceInvalid

#: The schemes of object stores. The part of the URL before the first `/` is the bucket or the container.
BUCKETS = ("s3", "az", "abfss", "gs")
WEB = ("https", "dicomweb+https")
_LENGTH = 4096
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/]*)/(?P<path>.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$-]{0,254}(@[A-Za-z0-9][A-Za-z0-9.-]{0,254})?")
_HOST = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
#: The characters that a request of HTTP may contain in its path and query (RFC 9112 §3.2).
_SENDABLE = re.compile(r"[\x21-\x7e]*")
_OUTSIDE = "The path must not contain empty segments, the segments . and .., or encoded slashes."
_FORMS = (
    "Expected a URL such as s3://bucket/key, az://container/name, abfss://container@account.dfs.core.windows.net/name, "
    "gs://bucket/name, file:///folder/name, https://host/path or dicomweb+https://host/path."
)


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A URL in its parts. `text` is the canonical URL."""

    text: str
    scheme: str
    #: The bucket, the container, or the host with its port. Empty for a file.
    place: str
    #: The key, or the path after the slash that follows `place`, as it is written in the URL.
    path: str
    query: str = ""

    @property
    def file_path(self) -> str:
        """The absolute path of a `file` URL. Bytes that are no text are escaped as by `os.fsdecode`."""
        return "/" + os.fsdecode(unquote_to_bytes(self.path))


def read_source_url(text: str) -> SourceUrl:
    """Parse the URL of a source or of a prefix. A prefix ends with `/`.

    Raises SourceInvalid if the URL is not of a supported form. The URL must not contain a user, a password, a fragment,
    or a segment such as `..`, with which it could leave a prefix. Only `dicomweb+https` URLs may have a query.
    """
    found = _URL.fullmatch(text) if len(text) <= _LENGTH and text.isprintable() else None
    if found is None:
        raise SourceInvalid(_FORMS)
    scheme, place, path = found["scheme"].lower(), found["place"], found["path"]
    query = ""
    if scheme in BUCKETS:
        if not _BUCKET.fullmatch(place) or ("@" in place) != (scheme == "abfss"):
            raise SourceInvalid(_FORMS)
    elif scheme == "file":
        place = "" if place.lower() == "localhost" else place
        if place:
            raise SourceInvalid("The URL of a file has no host: file:///folder/name.")
    elif scheme in WEB:
        place = place.lower()
        if not _HOST.fullmatch(place) or not 0 < _port(place) < 65536:
            raise SourceInvalid("The URL must contain a host and optionally a port, and neither user nor password.")
        path, _, query = path.partition("?") if scheme == "dicomweb+https" else (path, "", "")
    else:
        raise SourceInvalid(_FORMS)
    if scheme in WEB and not _SENDABLE.fullmatch(path + query):
        raise SourceInvalid("Encode spaces and characters outside of ASCII with %.")
    _check_path(scheme, path)
    return SourceUrl(f"{scheme}://{place}/{path}" + (f"?{query}" if query else ""), scheme, place, path, query)


def _check_path(scheme: str, path: str) -> None:
    """Raise SourceInvalid if a server, or the file system, could read the path as one outside of its prefix."""
    if scheme not in BUCKETS and set(path) & set("?#"):
        raise SourceInvalid("The URL must have neither a query nor a fragment. Encode ? as %3F and # as %23.")
    *folders, last = path.split("/")
    if scheme == "file":
        names = [unquote_to_bytes(segment) for segment in (*folders, last or "-")]
        if any(name in {b"", b".", b".."} or b"/" in name or b"\0" in name for name in names):
            raise SourceInvalid(_OUTSIDE)
        return
    for segment in (*folders, last or "-"):  # the path of a prefix ends with an empty segment
        read = segment if scheme in BUCKETS else unquote(segment)
        # Some web servers drop what follows a semicolon in a segment, and some treat a backslash as a slash.
        outside = read.split(";")[0] in {"", ".", ".."}
        if outside or (scheme not in BUCKETS and (set(read) & set("/\\") or not read.isprintable())):
            raise SourceInvalid(_OUTSIDE)


def _port(place: str) -> int:
    """Return the port of a host, or the default port."""
    _, colon, port = place.rpartition(":")
    return int(port) if colon and port.isdecimal() else 443
