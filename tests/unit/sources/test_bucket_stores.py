"""The servers to which requests for the sources of a bucket or container go. No request is sent."""

import base64
from datetime import timedelta

import obstore
import pytest

from maskrelay.sources.bucket_stores import open_bucket
from maskrelay.sources.credential_kinds import AzureCredential
from maskrelay.sources.source_urls import read_source_url

KEY = base64.b64encode(b"key").decode()


@pytest.mark.parametrize(
    ("url", "more", "expected"),
    [
        ("abfss://ct@acct.dfs.core.windows.net/a", {}, "https://acct.blob.core.windows.net/ct/a"),
        ("abfss://ct@acct.dfs.core.chinacloudapi.cn/a", {}, "https://acct.blob.core.chinacloudapi.cn/ct/a"),
        ("abfss://ct@acct.z12.dfs.storage.azure.net/a", {}, "https://acct.z12.blob.storage.azure.net/ct/a"),
        ("abfss://ct@onelake.dfs.fabric.microsoft.com/a", {}, "https://onelake.blob.fabric.microsoft.com/ct/a"),
        ("az://ct/a", {"account": "acct"}, "https://acct.blob.core.windows.net/ct/a"),
        ("az://ct/a", {"account": "acct", "endpoint_url": "http://127.0.0.1:1/acct"}, "http://127.0.0.1:1/acct/ct/a"),
        (
            "az://ct/a",
            {"auth": "connection_string", "secret": f"AccountName=acct;AccountKey={KEY};EndpointSuffix=core.usgov.net"},
            "https://acct.blob.core.usgov.net/ct/a",
        ),
    ],
)
def test_an_azure_account_is_asked_in_its_own_cloud(
    url: str, more: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:2")
    place = read_source_url(url)
    credential = AzureCredential.model_validate({"name": "lake", "kind": "azure", "secret": KEY, **more})
    store = open_bucket(credential, place, credential.secret_text())
    assert obstore.sign(store, "GET", place.path, timedelta(minutes=1)).partition("?")[0] == expected
