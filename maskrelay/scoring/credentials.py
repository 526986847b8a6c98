"""The credentials of an endpoint: a key from the settings, a key from a file, or a token that is renewed."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from pydantic import SecretStr

from maskrelay.endpoints import Endpoint
from maskrelay.errors import SettingsError
from maskrelay.network.certificates import client_context
from maskrelay.scoring.token_sources import ControlPlane, Entra
from maskrelay.scoring.tokens import RenewedToken, TokenSource
from maskrelay.scoring.url_checks import (
    checked_header,
    checked_url,
    is_header,
    proxy_of,
)

#: The scopes of Entra tokens, for the control plane and for scoring.
CONTROL_PLANE_SCOPE = "https://management.azure.com/.default"
SCORING_SCOPE = "https://ml.azure.com/.default"


class Credential(Protocol):
    """A provider of the bearer token for a request. An instance belongs to one event loop."""

    async def token(self) -> str:
        """Return the token for the next request. Raises EndpointUnavailable of kind `token` if there is none."""
        ...

    def refuse(self, token: str) -> bool:
        """Report that a request with `token` got status 401. Return whether `token()` may now return another token."""
        ...


class Key:
    """A key from the settings. Raises SettingsError if a header cannot contain it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key
        checked_header(key.get_secret_value(), "the endpoint's key")

    async def token(self) -> str:
        return self._key.get_secret_value()

    def refuse(self, token: str) -> bool:
        return token != self._key.get_secret_value()


class KeyFile:
    """A key in a file. The file is read again when it changes.

    If the file cannot be used, the last valid key is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_of: tuple[int, int, int] | None = None
        self._key = SecretStr("")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file for the first time. Raises SettingsError if it contains no key that can be used."""
        file = cls(path)
        file._read()
        if not file._key.get_secret_value():
            raise SettingsError(
                "the endpoint's key file cannot be read, or contains a key that is not allowed in a header"
            )
        return file

    async def token(self) -> str:
        self._read()
        return self._key.get_secret_value()

    def refuse(self, token: str) -> bool:
        """Read the file again. It may have changed although its timestamp has not, because timestamps are coarse."""
        self._read_of = None
        self._read()
        return token != self._key.get_secret_value()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._read_of:
                return
            key = self._path.read_text("ascii").strip()
            if is_header(key):
                self._key, self._read_of = SecretStr(key), seen


def credential_of(endpoint: Endpoint, entra: Callable[[str], TokenSource] | None = None) -> Credential:
    """Return the credential that the endpoint's settings specify.

    `entra` returns the source of Entra tokens for a scope. Tokens are fetched through the endpoint's proxy. Raises
    SettingsError if a key, a file or a URL cannot be used, or if a required extra of the package is not installed.
    """
    entra = entra or partial(Entra, proxy=endpoint.proxy)
    if endpoint.auth == "entra":
        return RenewedToken(entra(SCORING_SCOPE))
    if endpoint.auth == "aml_token":
        assert endpoint.token_url
        proxy = proxy_of(endpoint, checked_url(endpoint.token_url, "the address of the endpoint's token"))
        return RenewedToken(ControlPlane(endpoint.token_url, RenewedToken(entra(CONTROL_PLANE_SCOPE)), proxy))
    if endpoint.key is not None:
        return Key(endpoint.key)
    assert endpoint.key_file
    return KeyFile.open(Path(endpoint.key_file))


def check_endpoint(endpoint: Endpoint) -> None:
    """Raise SettingsError if no client can be created for the endpoint. The error names the endpoint.

    No request is sent.
    """
    proxy_of(endpoint, checked_url(endpoint.url, f"the URL of endpoint {endpoint.name}"))
    if endpoint.deployment is not None:
        checked_header(endpoint.deployment, f"the deployment of endpoint {endpoint.name}")
    if endpoint.cert_file or endpoint.cert_key_file:
        client_context(endpoint.cert_file, endpoint.cert_key_file, what=f"cert_file of endpoint {endpoint.name}")
    try:
        credential_of(endpoint)
    except SettingsError as error:
        raise SettingsError(f"endpoint {endpoint.name}: {error.detail}") from None
