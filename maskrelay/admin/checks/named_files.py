"""Check the files and URLs that settings name, the certificates, and the limit on file descriptors."""

import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from maskrelay.admin.checks.finding import Finding, ok, skip, warn, wrong
from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.contract.records.api_key_file import read_keys
from maskrelay.contract.vocabulary.segment_codes import read_code_table
from maskrelay.delta.places_file import TenantTables, open_place, read_tables_file
from maskrelay.errors import CodesInvalid, SettingsError, SourceUnavailable, StorageUnavailable
from maskrelay.network.certificates import ca_file, client_context
from maskrelay.network.proxies import read_proxy
from maskrelay.scoring.url_checks import LOOPBACK
from maskrelay.settings import Settings, name_of
from maskrelay.site_identifiers import read_key, read_mapping, read_site_file
from maskrelay.sources.credential_file import CredentialFile, read_credentials
from maskrelay.storage.factory import check_usable

_KEYS = 'the file is a JSON list of {"tenant", "sha256", "scopes"}; see docs/reference/settings.md'
_CREDENTIALS = "see docs/howto/sources-by-reference.md for the members of an entry"
_TABLES = "docs/howto/tables.md describes the file"
_SHOWN = ("redis_cert_file", "callback_cert_file")
#: The number of file descriptors that the API needs: 4,096 for the connections that it accepts, and more for Redis and
#: the store.
_DESCRIPTORS = 5120
_EVERYWHERE = {"0.0.0.0/0", "::/0"}


def check(settings: Settings) -> Iterator[Finding]:
    yield _keys(settings)
    yield _public_url(settings)
    yield _callbacks(settings)
    yield _codes(settings)
    yield _credentials(settings)
    yield from _tables(settings)
    yield _site_identifiers(settings)
    yield _certificates(settings)
    yield _descriptors()


def _keys(settings: Settings) -> Finding:
    if settings.keys_file is None:
        return skip("keys file", "not set; only the API needs it")
    try:
        entries = read_keys(Path(settings.keys_file))
    except SettingsError as error:
        return wrong("keys file", error.detail, _KEYS)
    now = datetime.now(UTC)
    count = sum(entry.counts_at(now) for entry in entries)
    if not count:
        return warn(
            "keys file", f"none of the {len(entries)} keys is valid now, so requests with an API key are refused", _KEYS
        )
    return ok("keys file", f"{count} of {len(entries)} keys valid now")


def _public_url(settings: Settings) -> Finding:
    if settings.public_url is None:
        return ok("public url", "not set; links start with the address of the request")
    parts = urlsplit(settings.public_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        return wrong("public url", "MASKRELAY_PUBLIC_URL is not a URL with which links can start", "set https://HOST")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        hint = "put a TLS proxy in front of the API, and use https:// in MASKRELAY_PUBLIC_URL"
        return warn("public url", "links start with http://, so API keys can be intercepted on the way", hint)
    return ok("public url", "set")


def _callbacks(settings: Settings) -> Finding:
    try:
        AddressGuard(settings.callback_allow)
        if settings.callback_proxy:
            read_proxy(settings.callback_proxy.get_secret_value(), name_of("callback_proxy"))
    except SettingsError as error:
        if settings.callback_proxy and name_of("callback_proxy") in error.names:
            hint = "example: MASKRELAY_CALLBACK_PROXY=http://proxy.example:3128"
        else:
            hint = "example: MASKRELAY_CALLBACK_ALLOW=pacs.example,10.1.0.0/16"
        return wrong("callbacks", error.detail, hint)
    if _EVERYWHERE & set(settings.callback_allow):
        hint = "allow only the hosts and networks of your receivers"
        return warn("callbacks", "callbacks may reach every address, including the cloud's metadata service", hint)
    allowed = f"those in MASKRELAY_CALLBACK_ALLOW ({len(settings.callback_allow)})"
    return ok("callbacks", f"callbacks may reach public addresses and {allowed}")


def _codes(settings: Settings) -> Finding:
    if settings.codes_file is None:
        return ok("codes file", "not set; the built-in codes are used")
    hint = "see the example in docs/reference/results.md; until the file is valid, no DICOM SEG is made"
    try:
        table = read_code_table(Path(settings.codes_file).read_bytes())
    except OSError as error:
        return wrong("codes file", f"MASKRELAY_CODES_FILE cannot be read: {error.strerror}", hint)
    except CodesInvalid as error:
        return wrong("codes file", error.detail, hint)
    return ok("codes file", f"{len(table)} prompts")


def _credentials(settings: Settings) -> Finding:
    if settings.credentials_file is None:
        return ok("credentials file", "not set; sources by reference are refused")
    try:
        entries = read_credentials(Path(settings.credentials_file))
        for entry in entries:
            entry.secret_text()
    except SettingsError as error:
        return wrong("credentials file", error.detail, _CREDENTIALS)
    except SourceUnavailable:
        return wrong("credentials file", "the file with the secret of a credential cannot be read", _CREDENTIALS)
    return ok("credentials file", f"{len(entries)} credentials")


def _tables(settings: Settings) -> Iterator[Finding]:
    """Check the file with the places of result tables, and write and delete an object in each place."""
    if settings.tables_file is None:
        yield ok("tables file", "not set; result tables are in the result store")
        return
    try:
        places, credentials = (
            read_tables_file(Path(settings.tables_file)),
            CredentialFile.open(settings.credentials_file),
        )
    except OSError as error:
        yield wrong("tables file", f"MASKRELAY_TABLES_FILE cannot be read: {error.strerror}", _TABLES)
    except SettingsError as error:
        yield wrong("tables file", error.detail, _TABLES)
    else:
        yield ok("tables file", f"{len(places)} tenants")
        for tenant, place in places.items():
            if place.tables_url is not None:
                yield _place(settings, credentials, tenant, place)


def _place(settings: Settings, credentials: CredentialFile, tenant: str, place: TenantTables) -> Finding:
    what = f"tables of {tenant}"
    try:
        check_usable(open_place(settings, credentials, tenant, place))
    except SettingsError as error:
        return wrong(what, error.detail, _TABLES)
    except StorageUnavailable as error:
        hint = "check tables_url, and whether the credential may read, list, create, replace and delete objects there"
        return wrong(what, error.detail, hint)
    return ok(what, "objects can be written there")


def _site_identifiers(settings: Settings) -> Finding:
    if settings.site_identifiers_file is None:
        return ok("site identifiers", "not set; items of jobs with identifiers: site fail")
    try:
        entries = read_site_file(Path(settings.site_identifiers_file))
        for entry in entries.values():
            if entry.mapping_file is not None:
                read_mapping(Path(entry.mapping_file))
            if entry.key_file is not None:
                read_key(Path(entry.key_file))
    except SettingsError as error:
        return wrong("site identifiers", error.detail, _TABLES)
    return ok("site identifiers", f"{len(entries)} tenants")


def _certificates(settings: Settings) -> Finding:
    """Check the certificate authorities, and the client certificates for Redis and callbacks.

    The client certificate of an endpoint is checked when the endpoint is checked.
    """
    shown = {field: (getattr(settings, field), getattr(settings, f"{field[:-5]}_key_file")) for field in _SHOWN}
    try:
        client_context()
        for field, files in shown.items():
            if any(files):
                client_context(*files, what=name_of(field))
    except SettingsError as error:
        hint = "use a PEM file; a private key must not be encrypted (openssl pkey -in KEY -out PLAIN_KEY)"
        return wrong("certificates", error.detail, hint)
    own = "and those in MASKRELAY_CA_FILE" if ca_file() else "and no others (MASKRELAY_CA_FILE is not set)"
    return ok("certificates", f"the usual certificate authorities are trusted, {own}")


def _descriptors() -> Finding:
    """Check the hard limit on open files and connections. The API raises its soft limit to the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _DESCRIPTORS:
        hint = f"raise the hard limit (ulimit -Hn, LimitNOFILE=, nofile) to {_DESCRIPTORS}"
        return warn(
            "descriptors", f"only {most} files and connections may be open, so callers can be turned away", hint
        )
    return ok("descriptors", "enough files and connections may be open")
