"""The checks of the option `store_beside`, with which the files of each item are written into its source's folder."""

from collections.abc import Sequence

from api.http.json_pointer import pointer
from api.submissions.options import Options
from api.submissions.source_references import Reference
from api.submissions.uploads import Upload
from maskrelay.errors import CredentialUnknown, OptionInvalid, SourceInvalid, SourceNotAllowed
from maskrelay.sources.credential_file import CredentialFile

_HERE = pointer("options", "store_beside")


def check_beside(credentials: CredentialFile, tenant: str, options: Options) -> None:
    """Check the option together with the other options, whatever the sources are.

    Raises OptionInvalid, and CredentialUnknown if the tenant has no such credential.
    """
    if not options.store_beside:
        return
    if options.store_to is None:
        raise OptionInvalid("Writing into the folders of sources needs the credential `store_to`.", pointer=_HERE)
    if options.store_prefix is not None:
        raise OptionInvalid("Files are written below a prefix or beside their sources, not both.", pointer=_HERE)
    if options.pixels.identifiers != "uids":
        raise OptionInvalid(
            "The place of a file beside its source would reveal the source, so `identifiers` must be `uids`.",
            pointer=_HERE,
        )
    try:
        credentials.check_store(tenant, options.store_to)
    except CredentialUnknown as error:
        raise CredentialUnknown(error.detail, pointer=pointer("options", "store_to")) from None
    except SourceNotAllowed as error:
        raise OptionInvalid(error.detail, pointer=_HERE) from None


def check_sources_beside(
    credentials: CredentialFile, tenant: str, options: Options, sources: Sequence[Upload | Reference]
) -> None:
    """Check that the files of each item can be written beside its source.

    Raises OptionInvalid for an upload, and SourceNotAllowed. Both name the number of the item.
    """
    for number, source in enumerate(sources):
        check_source_beside(credentials, tenant, options, source, f"item {number}", _HERE)


def check_prefix_beside(credentials: CredentialFile, tenant: str, options: Options, url: str) -> None:
    """Check the listed or watched prefix, or the query, like the source of an item."""
    check_source_beside(credentials, tenant, options, Reference(url, None), "the listing", _HERE)


def check_source_beside(
    credentials: CredentialFile,
    tenant: str,
    options: Options,
    source: Upload | Reference,
    called: str,
    here: str,
) -> None:
    """Check one source, which the error calls `called`. `here` is the pointer of the error."""
    if not options.store_beside:
        return
    if isinstance(source, Upload):
        raise OptionInvalid(f"The source of {called} is an upload, which has no folder.", pointer=here)
    try:
        credentials.writable_prefix(tenant, source.url, options.store_to or "")
    except (CredentialUnknown, SourceInvalid, SourceNotAllowed):
        detail = f"The source of {called} is not below a prefix to which the credential `store_to` may write."
        raise SourceNotAllowed(detail, pointer=here) from None
