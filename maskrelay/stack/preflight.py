"""Validate the settings of all processes of the stack before the first process starts.

Otherwise, an error in a setting that only a worker reads would appear only in that worker. The worker would fail again
and again, while the stack reports that it is ready. No server is contacted. `maskrelay doctor` checks the servers.
"""

from pathlib import Path
from urllib.parse import urlsplit

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.contract.records.api_key_file import read_keys
from maskrelay.contract.vocabulary.segment_codes import read_code_table
from maskrelay.endpoints import Endpoint, read_endpoints
from maskrelay.errors import CodesInvalid, SettingsError
from maskrelay.ledger.redis_connection import connect
from maskrelay.scoring.credentials import check_endpoint
from maskrelay.settings import Settings, name_of
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.storage.factory import open_configured


def check(settings: Settings) -> tuple[Endpoint, ...]:
    """Return the endpoints that the workers will use. Raises SettingsError for a setting that a process cannot use."""
    _check_redis(settings)
    open_configured(settings)
    AddressGuard(settings.callback_allow)
    settings.require("keys_file")
    read_keys(Path(str(settings.keys_file)))
    CredentialFile.open(settings.credentials_file)
    if settings.oidc_issuer is not None:
        settings.require("oidc_audience")
    _check_public_url(settings)
    _check_codes(settings)
    endpoints = read_endpoints(settings)
    for endpoint in endpoints:
        check_endpoint(endpoint)
    return endpoints


def _check_redis(settings: Settings) -> None:
    try:
        connect(settings.redis_url.get_secret_value()).close()
    except ValueError:  # the message quotes the URL, which can contain the password
        raise SettingsError(f"{name_of('redis_url')} is not a Redis URL: redis://host:port/database") from None


def _check_public_url(settings: Settings) -> None:
    if settings.public_url is None:
        return
    try:
        parts = urlsplit(settings.public_url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name_of('public_url')} must begin with http:// or https:// and a host")


def _check_codes(settings: Settings) -> None:
    if settings.codes_file is None:
        return
    name = name_of("codes_file")
    try:
        read_code_table(Path(settings.codes_file).read_bytes())
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}") from None
    except CodesInvalid as error:
        raise SettingsError(f"{name}: {error.detail}") from None
