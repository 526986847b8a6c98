"""Stores of obstore for the buckets and containers that credentials give access to.

The threads of obstore do not survive a fork. A process that is going to fork must not open a store before the fork.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import obstore
from botocore.exceptions import BotoCoreError
from obstore.store import AzureStore, GCSStore, S3Store

from maskrelay.errors import SettingsError, SourceForbidden
from maskrelay.network.certificates import ca_bundle
from maskrelay.network.proxies import proxy_for
from maskrelay.sources.credential_kinds import AzureCredential, CredentialBase, GcsCredential, S3Credential
from maskrelay.sources.machine_keys import MachineKeys
from maskrelay.sources.source_urls import SourceUrl
from maskrelay.storage.azure_account import connection_parts

#: The seconds to wait for a connection, and for the next bytes of a response.
CONNECT_S, READ_S = 4, 8
_DEFAULT_REGION = "us-east-1"
#: The options for a bucket without a proxy: a proxy from which all addresses are excluded. Without this option, obstore
#: would use the proxy in the environment, but it interprets the variables differently from this service.
_NO_PROXY = {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": "*,0.0.0.0/0,::/0"}


def open_bucket(credential: CredentialBase, place: SourceUrl, secret: str | None) -> Any:
    """Return the obstore store of the bucket or container in `place`. No request is sent.

    `secret` is the current secret of the credential. Raises SourceForbidden if the credential cannot be used,
    and SourceUnavailable if it is that of the machine, which has none at present.
    """
    try:
        if isinstance(credential, S3Credential):
            return _s3(credential, place.place, secret)
        if isinstance(credential, AzureCredential):
            return _azure(credential, place, secret)
        assert isinstance(credential, GcsCredential)
        return _gcs(credential, place.place, secret)
    except (obstore.exceptions.BaseError, BotoCoreError, ValueError, SettingsError):
        # The message of the library can contain the secret.
        raise SourceForbidden("the configured credential cannot be used") from None


def _s3(credential: S3Credential, bucket: str, secret: str | None) -> S3Store:
    provider: Callable[[], Any] | None = None
    region = credential.region
    if credential.access_key_id is not None:
        token = credential.session_token.get_secret_value() if credential.session_token else None
        keys = {"access_key_id": credential.access_key_id, "secret_access_key": secret, "token": token}
        provider = lambda: {**keys, "expires_at": None}  # noqa: E731
    elif not credential.anonymous:
        keys_of_machine = MachineKeys()
        region, provider = region or keys_of_machine.region, keys_of_machine
    region = region or _DEFAULT_REGION
    base = (credential.endpoint_url or f"https://s3.{region}.amazonaws.com").rstrip("/")
    # Every option that obstore would otherwise read from the environment is set.
    config = {
        "aws_endpoint_url_s3": base,
        "endpoint": base,
        "virtual_hosted_style_request": False,
        "region": region,
        "imdsv1_fallback": False,
        "request_payer": False,
        "s3_express": False,
        "skip_signature": credential.anonymous,
        "unsigned_payload": False,
    }
    return S3Store(bucket, config=config, credential_provider=provider, **_options(base))  # type: ignore[arg-type]


def _azure(credential: AzureCredential, place: SourceUrl, secret: str | None) -> AzureStore:
    container, _, host = place.place.partition("@")
    given = connection_parts(secret or "") if credential.auth == "connection_string" else {}
    account = credential.account or host.partition(".")[0] or given.get("accountname", "")
    endpoint = credential.endpoint_url or given.get("blobendpoint") or _blob_service(host, account, given)
    # The options that obstore would otherwise read from the environment, which describes the service's own account.
    config: dict[str, Any] = {
        "account_name": account,
        "client_id": credential.client_id,
        "tenant_id": credential.tenant_id,
        "endpoint": endpoint.rstrip("/"),
        "use_fabric_endpoint": True if host.endswith(".fabric.microsoft.com") else None,
        "use_emulator": False,
        "skip_signature": False,
    }
    known = {name: value for name, value in config.items() if value is not None}
    key = given.get("accountkey") if given else secret if credential.auth == "account_key" else None
    sas = given.get("sharedaccesssignature") if given else secret if credential.auth == "sas" else None
    # A secret is given by a provider, because one in the environment would be preferred to one in the options.
    found = {"access_key": key} if key else {"sas_token": sas} if sas else None
    provider: Any = None if found is None else lambda: {**found, "expires_at": None}
    return AzureStore(container, config=known, credential_provider=provider, **_options(endpoint))  # type: ignore[arg-type]


def _blob_service(host: str, account: str, given: Mapping[str, str]) -> str:
    """Return the URL of the account's blob service. `host` is that of an `abfss` URL, whose cloud may be another."""
    if host:
        return f"https://{host.replace('.dfs.', '.blob.', 1)}"
    protocol, suffix = given.get("defaultendpointsprotocol", "https"), given.get("endpointsuffix", "core.windows.net")
    return f"{protocol}://{account}.blob.{suffix}"


def _gcs(credential: GcsCredential, bucket: str, secret: str | None) -> GCSStore:
    base = credential.endpoint_url or "https://storage.googleapis.com"
    config: dict[str, Any] = {"skip_signature": credential.anonymous}
    if credential.endpoint_url:
        config["base_url"] = base.rstrip("/")
    if secret:
        config["service_account_key"] = secret
    return GCSStore(bucket, config=config, **_options(base))  # type: ignore[arg-type]


def _options(base: str) -> dict[str, Any]:
    """Return the options of connections: the timeouts, the trusted authorities and the proxy of this service."""
    proxy = proxy_for(base)
    options: dict[str, Any] = {
        "connect_timeout": f"{CONNECT_S}s",
        "read_timeout": f"{READ_S}s",
        "timeout": "365days",
        "allow_http": base.startswith("http:"),
        "http1_only": True,
        "randomize_addresses": False,
        **(_NO_PROXY if proxy is None else {"proxy_url": proxy.url}),
    }
    if base.startswith("https:") or (proxy is not None and proxy.is_tls):
        bundle = Path(ca_bundle("AWS_CA_BUNDLE")).read_bytes()
        options |= {"root_certificate": bundle, "disable_system_certificates": "true"}
    return {"client_options": options, "retry_config": {"max_retries": 0}}
