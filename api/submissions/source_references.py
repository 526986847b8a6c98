"""The sources by reference of a request, and the credentials with which they will be read.

Only the form of a URL and the tenant's rights are checked. The API never reads a source.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.http.json_pointer import pointer
from api.submissions.uploads import Upload
from maskrelay.errors import CredentialUnknown, Malformed, OptionInvalid, SourceInvalid, SourceNotAllowed
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.source_urls import read_source_url

#: The characters that the key of an object of this service may contain.
_KEYS = re.compile(r"[A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A source outside of the service's storage. `url` is in its canonical form."""

    url: str
    #: The name of the credential, or None if the request gives none.
    credential: str | None

    def identity(self) -> list[Any]:
        """Return what a fingerprint contains of the source. Its content is not known at submission."""
        return [self.url, self.credential]


def read_reference(given: dict[str, Any], here: tuple[str | int, ...]) -> Reference:
    """Return the source by reference of an item. Raises Malformed or SourceInvalid."""
    if "upload" in given:
        raise Malformed("An item has either an upload or a source.", pointer=pointer(*here, "source"))
    for name in ("source", "credential"):
        if not isinstance(given.get(name, ""), str):
            raise Malformed("Expected text.", pointer=pointer(*here, name))
    try:
        return Reference(read_source_url(given["source"]).text, given.get("credential"))
    except SourceInvalid as error:
        raise SourceInvalid(error.detail, pointer=pointer(*here, "source")) from None


def credential_names(
    credentials: CredentialFile, tenant: str, sources: Sequence[Upload | Reference]
) -> list[str | None]:
    """Return the name of the credential for the source of each item, or None for an upload.

    Raises CredentialUnknown or SourceNotAllowed, which name the item.
    """
    return [
        _name(credentials, tenant, number, source) if isinstance(source, Reference) else None
        for number, source in enumerate(sources)
    ]


def check_destination(credentials: CredentialFile, tenant: str, name: str | None, prefix: str | None) -> None:
    """Raise CredentialUnknown, SourceNotAllowed or SourceInvalid if the tenant may not store results there."""
    here = pointer("options", "store_to" if prefix is None else "store_prefix")
    if name is None:
        if prefix is not None:
            raise OptionInvalid("A prefix needs the credential `store_to`.", pointer=here)
        return
    try:
        place = credentials.destination(tenant, name, prefix)
    except CredentialUnknown as error:
        raise CredentialUnknown(error.detail, pointer=pointer("options", "store_to")) from None
    except (SourceInvalid, SourceNotAllowed) as error:
        raise type(error)(error.detail, pointer=here) from None
    if prefix is not None and not _KEYS.fullmatch(place.root.split("://", 1)[1].partition("/")[2]):
        raise SourceInvalid("The prefix may contain only letters, digits and the characters . _ - and /.", pointer=here)


def _name(credentials: CredentialFile, tenant: str, number: int, source: Reference) -> str:
    try:
        return credentials.readable(tenant, source.url, source.credential).name
    except CredentialUnknown as error:
        raise CredentialUnknown(error.detail, pointer=pointer("items", number, "credential")) from None
    except SourceNotAllowed as error:
        raise SourceNotAllowed(error.detail, pointer=pointer("items", number, "source")) from None
