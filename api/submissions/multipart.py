"""A parser of multipart/form-data streams.

Files are written to storage piece by piece, and short fields are kept in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.json_pointer import pointer
from api.submissions.file_names import file_name_in
from api.submissions.uploads import Incoming
from maskrelay.errors import BodyIncomplete, Malformed, RequestError, TooManyItems


@dataclass(frozen=True, slots=True)
class Field:
    """The limits of a form field, and the errors for a field that occurs more than `most` times or is too long."""

    most: int
    max_bytes: int
    too_many: Callable[[], RequestError]
    too_long: Callable[[], RequestError]


class Form:
    """A parser that gets a form piece by piece through `feed`.

    At the end, `fields` contains the bytes of the fields by name, and `incoming` contains the files. `file_name` is the
    name of the parts that are files. If it is None, every part that is not a field is a file. Raises Malformed,
    BodyIncomplete, BodyTooLarge or TooManyItems, or the error of a field's limit.
    """

    def __init__(
        self,
        content_type: str,
        incoming: Incoming,
        *,
        fields: dict[str, Field],
        file_name: str | None,
        max_files: int,
    ) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Malformed("The multipart body has no boundary.")
        self.fields: dict[str, list[bytes]] = {name: [] for name in fields}
        self._incoming = incoming
        self._rules = fields
        self._file_name = file_name
        self._max_files = max_files
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._field: str | None = None
        self._held = b""
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError:
            raise Malformed("The multipart boundary is too long.") from None

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise Malformed("The multipart body is not well-formed.") from None

    def close(self) -> None:
        """Finish the body. Raises BodyIncomplete if the form is not complete."""
        if not self._ended:
            raise BodyIncomplete

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_part,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_part(self) -> None:
        disposition = parse_options_header(self._headers.get(b"content-disposition"))[1]
        name = disposition.get(b"name", b"").decode("utf-8", "replace")
        if name in self._rules:
            self._field = name
            if len(self.fields[name]) >= self._rules[name].most:
                raise self._rules[name].too_many()
        elif self._file_name in {None, name}:
            self._field = None
            if len(self._incoming.uploads) >= self._max_files:
                raise TooManyItems(
                    f"A job may have at most {self._max_files} files (MASKRELAY_MAX_ITEMS).", pointer=pointer(name)
                )
            self._incoming.begin(file_name_in(self._headers.get(b"content-disposition", b""), disposition))
        else:
            known = ", ".join([self._file_name, *self._rules])
            raise Malformed(f"The form has an unknown field. The known fields are {known}.", pointer=pointer(name))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._incoming.write(data[start:end])
            return
        self._held += data[start:end]
        if len(self._held) > self._rules[self._field].max_bytes:
            raise self._rules[self._field].too_long()

    def _on_part_end(self) -> None:
        if self._field is None:
            self._incoming.end()
        else:
            self.fields[self._field].append(self._held)
            self._held = b""

    def _on_end(self) -> None:
        self._ended = True
