"""The kinds of credentials with which sources are read, as they are written in the credentials file."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from maskrelay.contract.records.keys import TENANT
from maskrelay.errors import SettingsError, SourceInvalid, SourceUnavailable
from maskrelay.sources.source_urls import read_source_url


def _as_prefix(value: str) -> str:
    try:
        prefix = read_source_url(value)
    except SourceInvalid as error:
        raise ValueError(error.detail) from None
    if not prefix.text.endswith("/"):
        raise ValueError("a prefix must end with /")
    return prefix.text


Prefix = Annotated[str, AfterValidator(_as_prefix)]
Prefixes = dict[Annotated[str, Field(pattern=f"^{TENANT.pattern}$")], tuple[Prefix, ...]]


class CredentialBase(BaseModel):
    """What all credentials have in common: a name, the prefixes by tenant, and a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    schemes: ClassVar[tuple[str, ...]]

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    #: The prefixes that each tenant may read.
    reads: Prefixes = {}
    #: The prefixes below which the service may write for each tenant.
    writes: Prefixes = {}
    secret: SecretStr | None = None
    #: A file with the secret, which is read whenever a connection is prepared.
    secret_file: str | None = None

    @model_validator(mode="after")
    def _prefixes_fit(self) -> Self:
        for prefixes in (*self.reads.values(), *self.writes.values()):
            for prefix in prefixes:
                if prefix.split("://")[0] not in self.schemes:
                    raise ValueError(f"the prefixes of this kind begin with {', '.join(self.schemes)}")
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file cannot both be set")
        return self

    def secret_text(self) -> str | None:
        """Return the secret, or None if the credential has none. Raises SourceUnavailable if its file is unreadable."""
        if self.secret_file is not None:
            try:
                return Path(self.secret_file).read_text().strip()
            except (OSError, UnicodeDecodeError):
                raise SourceUnavailable(reason="secret_file") from None
        return self.secret.get_secret_value() if self.secret is not None else None


class S3Credential(CredentialBase):
    """Buckets of S3 or of a compatible server.

    The secret is the secret access key. Without an access key, the keys are found as by boto3: in the environment, in
    the shared credentials file, or by the role of the machine.
    """

    schemes = ("s3",)
    kind: Literal["s3"]
    access_key_id: str | None = None
    session_token: SecretStr | None = None
    region: str | None = None
    endpoint_url: Annotated[str, Field(pattern="^https?://[^/?#]+/?$")] | None = None
    #: Whether requests are not signed, for public buckets.
    anonymous: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.access_key_id is None) != (self.secret is None and self.secret_file is None):
            raise ValueError("access_key_id needs secret or secret_file, and the other way round")
        return self


class AzureCredential(CredentialBase):
    """Containers of Azure Blob Storage, Data Lake Storage Gen2 or OneLake.

    The secret is an account key, a SAS token or a connection string. Without a secret, a workload identity or a managed
    identity is used.
    """

    schemes = ("az", "abfss")
    kind: Literal["azure"]
    account: str | None = None
    auth: Literal["account_key", "sas", "connection_string"] = "account_key"
    #: The URL of the account, if it is not `https://{account}.blob.core.windows.net`.
    endpoint_url: Annotated[str, Field(pattern="^https?://[^?#]+$")] | None = None
    client_id: str | None = None
    tenant_id: str | None = None


class GcsCredential(CredentialBase):
    """Buckets of Google Cloud Storage.

    The secret is the JSON key of a service account. Without it, the application default credentials are used.
    """

    schemes = ("gs",)
    kind: Literal["gcs"]
    endpoint_url: Annotated[str, Field(pattern="^https?://[^/?#]+/?$")] | None = None
    anonymous: bool = False


class FileCredential(CredentialBase):
    """Folders that are mounted in every worker. The prefixes are the folders."""

    schemes = ("file",)
    kind: Literal["file"]


class WebCredential(CredentialBase):
    """What the credentials of web servers have in common. The secret is the value of a header."""

    #: The name of the header.
    header: Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,64}$")] = "Authorization"
    #: Hosts, addresses and networks that may be reached although they are not public, as in `MASKRELAY_CALLBACK_ALLOW`.
    allow: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _addresses_fit(self) -> Self:
        from maskrelay.callbacks.address_guard import AddressGuard  # noqa: PLC0415 - httpx is needed for the web only

        try:
            AddressGuard(self.allow)
        except SettingsError:
            raise ValueError("allow: expected host names, addresses and networks, optionally with :PORT") from None
        return self


class HttpsCredential(WebCredential):
    """Web servers. The prefixes are the list of allowed addresses."""

    schemes = ("https",)
    kind: Literal["https"]


class DicomwebCredential(WebCredential):
    """DICOMweb services. A prefix is the URL of a service, or of a study in it."""

    schemes = ("dicomweb+https",)
    kind: Literal["dicomweb"]


Credential = Annotated[
    S3Credential | AzureCredential | GcsCredential | FileCredential | HttpsCredential | DicomwebCredential,
    Field(discriminator="kind"),
]
