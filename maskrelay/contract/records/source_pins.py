"""Sources by reference: objects outside the service's storage, which a job names by their URLs.

A job reads one version of each object, which is pinned when the job is planned. If the object has changed when it is
read, the item fails.
"""

from posixpath import basename
from urllib.parse import unquote

from maskrelay.contract.record import Amount, Record

#: The version of an object in a store that gives neither an ETag nor a version: an instance in a DICOMweb service.
UNVERSIONED = "instance"


class Pin(Record):
    """The version of an object: its size, and its ETag or its version in a store that keeps versions."""

    size: Amount
    etag: str | None = None
    version: str | None = None

    @property
    def identifies_content(self) -> bool:
        """Whether an object with this pin has the same content at any later time.

        The name and the size of an object are not enough, because another program may have replaced it.
        """
        return self.etag is not None or self.version not in {None, UNVERSIONED}


class PinnedSource(Pin):
    """An object with the version that a job uses, and with the right by which it is read."""

    url: str
    tenant: str
    #: The name of the credential.
    credential: str


def is_reference(source: str) -> bool:
    """Return whether the source of an item is a URL. Otherwise, it is the storage key of an upload.

    A key contains no colon.
    """
    return "://" in source


def name_in(url: str) -> str | None:
    """Return the name of the file in the URL of a source, or None if there is none."""
    name = basename(url.partition("?")[0])
    if url.startswith(("file:", "https:")):
        name = unquote(name)
    return "".join(letter for letter in name if letter.isprintable())[:255] or None
