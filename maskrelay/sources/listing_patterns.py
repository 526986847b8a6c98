"""The patterns of listings: URLs with wildcards, which name objects in a store."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from urllib.parse import unquote

from maskrelay.errors import SourceInvalid
from maskrelay.sources.source_urls import BUCKETS, read_source_url

_LONGEST = 4096
_WILDCARD = re.compile(r"[*?]")
#: The segment that stands for any number of folders, including none. As the last segment, it stands for every object.
_ANY_FOLDERS = "**"
#: The characters that `fnmatch` interprets.
_SPECIAL = re.compile(r"[\[*?]")
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class ListingPattern:
    """A pattern in its parts."""

    #: The pattern in its canonical form.
    text: str
    #: The URL to list. It is that of the folder that contains every match, or a DICOMweb query.
    prefix: str
    #: The form of each segment after the prefix. None stands for any number of segments.
    segments: tuple[re.Pattern[str] | None, ...]
    #: Whether the segments of URLs are percent-encoded.
    is_encoded: bool

    def matches(self, url: str) -> bool:
        """Return whether the object with this URL, which was listed below the prefix, is meant."""
        if not self.segments:
            return True
        names = self.name_of(url).split("/")
        return _match(list(map(unquote, names)) if self.is_encoded else names, self.segments)

    def name_of(self, url: str) -> str:
        """Return the part of a listed object's URL that distinguishes it from the other objects."""
        return url.removeprefix(self.prefix)


def read_pattern(text: str) -> ListingPattern:
    """Parse a pattern. Raises SourceInvalid if it is not of a supported form.

    `*` stands for any text within a segment, `?` for one character, and the segment `**` for any number of folders. A
    pattern that ends with `/` stands for everything below that folder. A `dicomweb+https` URL is a study, a series or a
    query, and has no wildcards.
    """
    scheme = text.partition("://")[0].lower()
    if scheme == "dicomweb+https":
        url = read_source_url(text).text
        return ListingPattern(url, url, (), is_encoded=False)
    if scheme not in {*BUCKETS, "file"}:
        raise SourceInvalid("Only s3, az, abfss, gs, file and dicomweb+https sources can be listed.")
    if len(text) > _LONGEST or not text.isprintable():
        raise SourceInvalid(f"A pattern may have at most {_LONGEST} characters, all of them printable.")
    wildcard = _WILDCARD.search(text)
    if wildcard is None and not text.endswith("/"):
        raise SourceInvalid("A listing needs a wildcard, or a prefix that ends with /.")
    end = text.rfind("/", 0, wildcard.start() if wildcard else None) + 1
    prefix, rest = read_source_url(text[:end]).text, text[end:]
    is_encoded = scheme == "file"
    segments = tuple(_form(segment, is_encoded=is_encoded) for segment in rest.split("/")) if rest else ()
    return ListingPattern(prefix + rest, prefix, segments, is_encoded=is_encoded)


def _form(segment: str, *, is_encoded: bool) -> re.Pattern[str] | None:
    if segment in {_ANY_FOLDERS, ""}:  # a slash at the end stands for everything below
        return None
    if _ANY_FOLDERS in segment:
        raise SourceInvalid("`**` must be a whole segment of the pattern, as in prefix/**/*.dcm.")
    # In a pattern of this service, a bracket is a character like any other, and so is an encoded wildcard.
    pieces = re.split(r"([*?])", segment)
    literal, wildcards = pieces[::2], pieces[1::2]
    escaped = [_SPECIAL.sub(r"[\g<0>]", unquote(text) if is_encoded else text) for text in literal]
    return re.compile(fnmatch.translate("".join(map("".join, zip_longest(escaped, wildcards, fillvalue="")))))


def _match(names: Sequence[str], forms: Sequence[re.Pattern[str] | None]) -> bool:
    """Return whether the forms match all names. The time grows with the product of both numbers."""
    name = form = 0
    again: tuple[int, int] | None = None  # where to continue if the last `**` stands for one more name
    while name < len(names):
        expected = forms[form] if form < len(forms) else _NOTHING
        if expected is None:
            form += 1
            again = name, form
        elif expected.fullmatch(names[name]):
            name, form = name + 1, form + 1
        elif again is not None:
            again = again[0] + 1, again[1]
            name, form = again
        else:
            return False
    return all(expected is None for expected in forms[form:])
