"""One page of the answer of List Blobs."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from maskrelay.storage.protocol import unavailable


@dataclass(frozen=True, slots=True)
class Page:
    """The names of blobs, and the marker of the next page, which is empty on the last page."""

    names: list[str]
    marker: str


def read_page(body: bytes) -> Page:
    """Parse the answer. Raises StorageUnavailable if it is not a list of blobs.

    Directories are left out. An account with a hierarchical namespace lists them as blobs without content, and some
    programs create such blobs in other accounts. Names that XML cannot contain are left out too.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - the store is trusted, and expat limits the expansion of entities
    except ET.ParseError:
        raise unavailable("ResponseParserError") from None
    if root.tag != "EnumerationResults":
        raise unavailable("ResponseParserError")
    blobs = root.iterfind("Blobs/Blob")
    names = [blob.findtext("Name") or "" for blob in blobs if not _is_folder(blob) and not _is_encoded(blob)]
    return Page(names, root.findtext("NextMarker") or "")


def _is_folder(blob: ET.Element) -> bool:
    marked = (blob.findtext("Metadata/hdi_isfolder") or "").lower() == "true"
    return marked or blob.findtext("Properties/ResourceType") == "directory"


def _is_encoded(blob: ET.Element) -> bool:
    name = blob.find("Name")
    return name is not None and (name.get("Encoded") or "").lower() == "true"
