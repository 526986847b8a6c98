"""The credentials of an Azure storage account: its key, a shared access signature, or a token of an identity."""

import importlib
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl

import httpx

from maskrelay.errors import SettingsError
from maskrelay.network.certificates import ca_bundle
from maskrelay.storage.azure_signatures import sas_of_key, shared_key
from maskrelay.storage.protocol import unavailable

_SCOPE = "https://storage.azure.com/.default"
#: A token is renewed this many seconds before it expires, as Entra's own libraries do.
_RENEWED_BEFORE_S = 300.0


class AzureCredential(Protocol):
    """What authorizes requests. It may be used from any thread."""

    def authorize(self, request: httpx.Request) -> None:
        """Add the authorization to a complete request. Raises StorageUnavailable if there is none at present."""

    def refused(self, request: httpx.Request) -> bool:
        """Report that a request got status 401. Return whether another authorization may be accepted."""

    def sas(self, url: httpx.URL, starts: datetime, ends: datetime) -> str | None:
        """Return a query with which anyone can read the blob at `url`, or None if this credential cannot sign one."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The key of the account."""

    account: str
    key: bytes = field(repr=False)

    def authorize(self, request: httpx.Request) -> None:
        request.headers["authorization"] = f"SharedKey {self.account}:{shared_key(request, self.account, self.key)}"

    def refused(self, request: httpx.Request) -> bool:  # noqa: ARG002
        return False

    def sas(self, url: httpx.URL, starts: datetime, ends: datetime) -> str | None:
        return sas_of_key(url, self.account, self.key, starts, ends)


class SasToken:
    """A shared access signature. No other signature can be made from it, so there are no presigned URLs."""

    def __init__(self, token: str) -> None:
        self._pairs = parse_qsl(token.lstrip("?"), keep_blank_values=True)
        if "sig" not in dict(self._pairs):
            raise SettingsError("the shared access signature of the Azure storage account has no `sig`")

    def authorize(self, request: httpx.Request) -> None:
        request.url = request.url.copy_merge_params(tuple(self._pairs))

    def refused(self, request: httpx.Request) -> bool:  # noqa: ARG002
        return False

    def sas(self, url: httpx.URL, starts: datetime, ends: datetime) -> None:  # noqa: ARG002
        return None


class EntraIdentity:
    """The identity of the machine, as DefaultAzureCredential finds it.

    For example, a workload identity in Kubernetes (`AZURE_FEDERATED_TOKEN_FILE`), a managed identity, or the variables
    `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`. There are no presigned URLs. Raises SettingsError if
    the extra `azure` of the package is not installed.
    """

    def __init__(self, account: str, client_id: str | None = None) -> None:
        self._account = account
        self._client_id = client_id
        self._lock = threading.Lock()
        self._token: Any = None
        self._trusted = ca_bundle("REQUESTS_CA_BUNDLE")
        try:
            self._identity = importlib.import_module("azure.identity")
            self._errors = importlib.import_module("azure.core.exceptions").AzureError
        except ImportError:
            raise SettingsError("an identity for Azure Blob Storage needs the extra `azure` (azure-identity)") from None

    def authorize(self, request: httpx.Request) -> None:
        request.headers["authorization"] = f"Bearer {self._valid().token}"

    def refused(self, request: httpx.Request) -> bool:
        """Discard the token of this request, unless it has been renewed in the meantime."""
        with self._lock:
            if self._token is not None and request.headers.get("authorization") == f"Bearer {self._token.token}":
                self._token = None
        return True

    def sas(self, url: httpx.URL, starts: datetime, ends: datetime) -> None:  # noqa: ARG002
        return None

    def _valid(self) -> Any:
        """Return the token. It is renewed in time, and while it is valid, a failure to renew it has no effect."""
        with self._lock:
            now, token = time.time(), self._token
            if token is None or now >= token.expires_on - _RENEWED_BEFORE_S:
                token = self._fetched()
                if token is not None:
                    self._token = token
                elif self._token is None or now >= self._token.expires_on:
                    raise unavailable("NoCredentialsError")
            return self._token

    def _fetched(self) -> Any:
        """Fetch a token with a new credential object, because the previous one would return its cached token."""
        chosen = {"managed_identity_client_id": self._client_id} if self._client_id else {}
        try:
            with self._identity.DefaultAzureCredential(connection_verify=self._trusted, **chosen) as credential:
                return credential.get_token(_SCOPE)
        except (self._errors, ValueError):
            return None  # the message is dropped, because it can contain the request


def lifetime_of(lifetime: timedelta) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a signature. It begins earlier, because clocks differ."""
    now = datetime.now(UTC)
    return now - timedelta(minutes=5), now + lifetime
