"""A reader of the instances in a DICOMweb service: WADO-RS for their content, and QIDO-RS for lists."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import httpcore

from maskrelay.contract.records.source_pins import UNVERSIONED, Pin
from maskrelay.errors import SourceChanged, SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.sources.credential_kinds import WebCredential
from maskrelay.sources.dicom_json import first_value
from maskrelay.sources.dicomweb_parts import FirstPart, first_part
from maskrelay.sources.dicomweb_urls import DicomwebUrl, read_dicomweb_url
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.web_connection import WebConnection, check_status

#: The files as they are stored, in any transfer syntax.
_FILE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_CLASS, _MODALITY = "00080016", "00080060"
#: The classes of segmentations. They are never input, and may be the results of jobs (`store_to`).
_SEGMENTATIONS = frozenset(f"1.2.840.10008.5.1.4.1.1.{leaf}" for leaf in ("66.4", "66.7"))
_SCHEME = "dicomweb+"
#: The URL that a listing yields, below the root of the service, for results without a valid UID.
_UNKNOWN = "studies/"
#: The number of results in one page of a query, and the largest page in bytes.
_PAGE, _LONGEST_PAGE = 1000, 64 << 20
#: How often a query is read from its first result, because too much was removed while its pages were read.
_RESTARTS = 5
#: The largest answer about the last change, in bytes.
_LONGEST_CHANGES = 64 << 10
#: What identifies a result: the UIDs of its study, series and instance, as far as it has them.
Uids = tuple[Any, ...]


class DicomwebReader:
    """A reader with one credential. See `SourceReader`.

    Few servers give an ETag. An instance without one is pinned by its UID and its size. Within a job, this is enough,
    but it does not exclude that the instance was replaced since an earlier job. A server gives the size only in the
    headers of the content, so `stat` begins to read, and stops.
    """

    def __init__(self, credential: WebCredential) -> None:
        self._connection = WebConnection(credential)

    def stat(self, url: str) -> SourceFacts:
        with self._content(read_dicomweb_url(url)) as (part, etag):
            size = part.length if part.length is not None else sum(map(len, part.content))
        return SourceFacts(url, size, etag, None if etag else UNVERSIONED)

    def stream(self, url: str, pin: Pin, start: int, length: int) -> Iterator[bytes]:
        with self._content(read_dicomweb_url(url)) as (part, etag):
            if etag != pin.etag or part.length not in {None, pin.size}:
                raise SourceChanged
            position, end = 0, start + length
            for chunk in part.content:
                wanted = chunk[max(0, start - position) : max(0, end - position)]
                position += len(chunk)
                if position > pin.size:
                    raise SourceChanged
                if wanted:
                    yield wanted
                if position >= end < pin.size:
                    return
            if position != pin.size:
                raise SourceChanged

    def is_collection(self, url: str) -> bool:
        return read_dicomweb_url(url).level is not None

    def list(self, url: str, after: str | None, *, pinned: bool = True) -> Iterator[SourceFacts]:
        """Yield the instances of a study, a series or the results of a query. See `SourceReader`.

        Instances that the service calls segmentations are left out.
        """
        where = read_dicomweb_url(url)
        for series in self._series(where, all_or_none=pinned):
            for instance in series:
                if after is None or instance > after:
                    with suppress(SourceNotFound):  # it was removed from the archive in the meantime
                        yield self.stat(instance) if pinned else SourceFacts(instance, 0, None)

    def last_change(self, url: str) -> int:
        """Return the number of the last change that Orthanc has recorded at `url`, that of its resource `/changes`.

        Raises SourceUnavailable, SourceForbidden or SourceNotFound.
        """
        body = bytearray()
        with self._connection.response("GET", f"{url.removeprefix('dicomweb+')}?last", {}) as response:
            check_status(response.status)
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > _LONGEST_CHANGES:
                    raise SourceUnavailable(reason="changes")
        try:
            return int(json.loads(body)["Last"])
        except (ValueError, OverflowError, TypeError, KeyError, RecursionError):
            raise SourceUnavailable(reason="changes") from None

    @contextmanager
    def _content(self, where: DicomwebUrl) -> Iterator[tuple[FirstPart, str | None]]:
        """Yield the content of an instance, and its ETag if there is one."""
        with self._connection.response("GET", where.https, {"Accept": _FILE}) as response:
            check_status(response.status)
            kind, length = _field(response, b"content-type"), _field(response, b"content-length")
            if kind.lower().startswith("text/"):  # for example, the page of a proxy that asks for a password
                raise SourceUnavailable(reason="content_type")
            chunks = iter(response.iter_stream())
            if kind.lower().startswith("multipart/"):
                part = first_part(kind, chunks)
            else:
                part = FirstPart(int(length) if length.isdecimal() else None, chunks)
            yield part, _field(response, b"etag") or None

    def _series(self, where: DicomwebUrl, *, all_or_none: bool) -> Iterator[Sequence[str]]:
        """Yield sorted lists of URLs of instances, in the order of their URLs."""
        study, series = _uids_of(where.path)
        if where.level == "instances":
            yield self._urls(
                where,
                lambda one: where.instance(
                    study or _uid(one, _STUDY), series or _uid(one, _SERIES), _uid(one, _INSTANCE)
                ),
                all_or_none,
            )
            return
        for url in self._urls(where, lambda one: _SCHEME + where.root + _path_of(one, where.level, study), all_or_none):
            path = url.removeprefix(_SCHEME + where.root)
            if path == _UNKNOWN:
                yield [url]
                continue
            inside = DicomwebUrl(where.root, f"{path}instances", "instances")
            with suppress(SourceNotFound):  # it was removed from the archive in the meantime
                yield from self._series(inside, all_or_none=all_or_none)

    def _urls(self, where: DicomwebUrl, url_of: Callable[[Any], str], all_or_none: bool) -> Sequence[str]:
        """Return the URLs of the results of a query, each once, in order.

        If results are added while pages are read, the next page can repeat some of the one before.
        """
        urls = set()
        for one in self._found(where.https, where.conditions):
            if _is_segmentation(one):
                continue
            try:
                urls.add(url_of(one))
            except SourceForbidden:
                if all_or_none:
                    raise
                urls.add(f"{_SCHEME}{where.root}{_UNKNOWN}")
        return sorted(urls)

    def _found(self, url: str, conditions: str) -> Iterator[dict[str, Any]]:
        """Yield the results of a query, page by page, until a page is empty, or has only the last result once more.

        A server that ignores the offset sends the same page again, which is the end too.
        """
        query = f"{url}?{conditions}{'&' if conditions else ''}"
        before: Sequence[Uids] = ()
        read = restarts = 0
        while True:
            page, begin = self._next_page(query, read, before)
            uids = [_uids(one) for one in page]
            if not page or (begin > 0 and set(uids) in (set(before), set(before[-1:]))):
                return
            restarts += begin == 0
            if restarts > _RESTARTS:
                raise SourceUnavailable(reason="changing")
            before, read = uids, begin + len(page)
            yield from page

    def _next_page(self, query: str, read: int, before: Sequence[Uids]) -> tuple[Sequence[dict[str, Any]], int]:
        """Return the page after the first `read` results, and its offset. `before` is the page before it.

        If results are removed while pages are read, the others move forward, and some would be missed. So a page begins
        with a result of the page before. If it does not, it begins earlier, and in the end with the first result.
        """
        begins = (read - 1, max(0, read - len(before)), 0) if len(before) > 1 else (read,)
        for begin in begins:
            page = self._page(query + urlencode({"limit": _PAGE, "offset": begin}))
            if begin == 0 or len(before) < 2 or (page and _uids(page[0]) in before):
                break
        return page, begin

    def _page(self, url: str) -> Sequence[dict[str, Any]]:
        body = bytearray()
        with self._connection.response("GET", url, {"Accept": _JSON}) as response:
            check_status(response.status)
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > _LONGEST_PAGE:
                    raise SourceUnavailable(reason="page")
        if not body:  # 204: nothing was found
            return []
        try:
            page = json.loads(body)
        except (ValueError, RecursionError):
            raise SourceUnavailable(reason="json") from None
        if not isinstance(page, list):
            raise SourceUnavailable(reason="json")
        return page


def _field(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for known, value in response.headers if known.lower() == name), "")


def _is_segmentation(found: Any) -> bool:
    return first_value(found, _CLASS) in _SEGMENTATIONS or first_value(found, _MODALITY) == "SEG"


def _uids(found: Any) -> Uids:
    return tuple(first_value(found, tag) for tag in (_STUDY, _SERIES, _INSTANCE))


def _uid(found: Any, tag: str) -> str:
    """Return a UID of a result. Raises SourceForbidden if it is missing or could lead to another path."""
    uid = first_value(found, tag)
    if not isinstance(uid, str) or not uid or len(uid) > 64 or set(uid) - set("0123456789."):
        raise SourceForbidden("a result of the query has no valid UID")
    return uid


def _uids_of(path: str) -> tuple[str | None, str | None]:
    """Return the UIDs of the study and the series in a path."""
    named = dict(zip(segments := path.split("/"), segments[1:], strict=False))
    return named.get("studies"), named.get("series") if "instances" in named or path.endswith("/instances") else None


def _path_of(found: Any, level: str | None, study: str | None) -> str:
    """Return the path of a study or a series that a query has found."""
    of_study = f"studies/{study or _uid(found, _STUDY)}/"
    return of_study if level == "studies" else f"{of_study}series/{_uid(found, _SERIES)}/"
