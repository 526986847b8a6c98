"""The URLs of DICOMweb: one instance, the instances of a series or a study, or a query (QIDO-RS)."""

import re
from dataclasses import dataclass

from maskrelay.errors import SourceForbidden
from maskrelay.sources.source_urls import read_source_url

_SCHEME = "dicomweb+"
_UID = r"[0-9][0-9.]{0,63}"
_PATH = re.compile(
    rf"(?P<root>(?:.*?/)?)(?:"
    rf"(?P<of>studies/(?P<study>{_UID})(?:/series/(?P<series>{_UID}))?)(?P<rest>/series|/instances(?:/(?P<instance>{_UID}))?)?"
    rf"|(?P<query>studies|series|instances))/?"
)


@dataclass(frozen=True, slots=True)
class DicomwebUrl:
    """The parts of a URL."""

    #: The `https` URL of the DICOMweb service, with a slash at its end.
    root: str
    #: The path of the study, the series or the instance below `root`. Empty for a query over all studies.
    path: str
    #: What the query at this URL finds: `studies`, `series` or `instances`. None for one instance.
    level: str | None
    #: The conditions of a query, as they are written in the URL.
    conditions: str = ""

    @property
    def https(self) -> str:
        """The `https` URL of the resource, without conditions."""
        return self.root + self.path

    def instance(self, study: str, series: str, instance: str) -> str:
        """Return the URL of an instance, with the scheme of a source."""
        return f"{_SCHEME}{self.root}studies/{study}/series/{series}/instances/{instance}"


def read_dicomweb_url(text: str) -> DicomwebUrl:
    """Parse a URL. Raises SourceInvalid and SourceForbidden.

    A query over all studies must have a condition, so that nobody reads a whole archive by mistake.
    """
    parts = read_source_url(text)
    found = _PATH.fullmatch(parts.path)
    if found is None:
        raise SourceForbidden("the URL is neither a DICOMweb study, series or instance, nor a query for these")
    root = f"{parts.scheme.removeprefix(_SCHEME)}://{parts.place}/{found['root']}"
    if found["query"] is not None:
        if not parts.query:
            raise SourceForbidden("a DICOMweb query over all studies must have a condition")
        return DicomwebUrl(root, found["query"], found["query"], parts.query)
    if found["instance"]:
        return DicomwebUrl(root, found["of"] + found["rest"], None)
    if found["rest"] == "/series":
        return DicomwebUrl(root, f"{found['of']}/series", "series", parts.query)
    return DicomwebUrl(root, f"{found['of']}/instances", "instances", parts.query)
