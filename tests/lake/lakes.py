"""The object stores of the demo: a local S3 server and a local Azure server, each with the images of a cohort.

The images are read through a proxy that counts their bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from maskrelay.storage.factory import open_storage
from maskrelay.storage.protocol import Storage
from tests.lake.cohort import cohort
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.servers.azurite import ACCOUNT, KEY, running_azurite
from tests.support.servers.s3_servers import running_s3

BUCKET = "lake"
TENANT = "local"


@dataclass(frozen=True)
class Lake:
    """A running store."""

    #: The URL of its bucket or container, without a slash at the end.
    root: str
    #: The settings of a service whose results are in the same bucket.
    settings: Mapping[str, object]
    #: The credential with which the images are read.
    credential: Mapping[str, Any]
    #: The environment of a program that reads the tables.
    reader: Mapping[str, str]
    #: Everything in the bucket.
    store: Storage
    sources: FaultyProxy

    @property
    def images(self) -> str:
        return f"{self.root}/images/"

    @property
    def tables(self) -> str:
        return f"{self.root}/maskrelay/tables/{TENANT}"

    def bytes_read(self) -> tuple[int, int]:
        """Return how many bytes of DICOM objects, and of other images, were read so far. Listings do not count."""
        dicom = others = 0
        for request, size in self.sources.answered.items():
            if request.startswith("GET ") and not _is_listing(request):
                dicom, others = (dicom + size, others) if ".dcm" in request else (dicom, others + size)
        return dicom, others


def _is_listing(request: str) -> bool:
    return "list-type=" in request or "comp=list" in request


@contextmanager
def s3_lake() -> Iterator[Lake]:
    with running_s3(BUCKET) as server, faulty_proxy(server.endpoint_url) as proxy:
        keys = {"access_key_id": "test", "secret": "test", "region": "us-east-1", "endpoint_url": proxy.url}
        yield _filled(
            Lake(
                root=f"s3://{BUCKET}",
                settings={"storage_url": f"s3://{BUCKET}/maskrelay", "s3_endpoint_url": server.endpoint_url},
                credential={"name": "archive", "kind": "s3", **keys},
                reader={**server.environment, "AWS_ENDPOINT_URL": server.endpoint_url, "AWS_ALLOW_HTTP": "true"},
                store=open_storage(f"s3://{BUCKET}", server.endpoint_url),
                sources=proxy,
            )
        )


@contextmanager
def azure_lake() -> Iterator[Lake]:
    with running_azurite(BUCKET) as server, faulty_proxy(server.url) as proxy:
        keys = {"account": ACCOUNT, "secret": KEY, "endpoint_url": f"{proxy.url}/{ACCOUNT}"}
        account = {"ACCOUNT_NAME": ACCOUNT, "ACCOUNT_KEY": KEY, "ENDPOINT": server.url}
        reader = {f"AZURE_STORAGE_{name}": value for name, value in account.items()}
        yield _filled(
            Lake(
                root=f"az://{BUCKET}",
                settings={"storage_url": f"az://{BUCKET}/maskrelay"},
                credential={"name": "archive", "kind": "azure", **keys},
                reader={**reader, "AZURE_ALLOW_HTTP": "true"},
                store=open_storage(f"az://{BUCKET}", None, server.connection_string),
                sources=proxy,
            )
        )


def _filled(lake: Lake) -> Lake:
    for key, body in cohort().items():
        lake.store.put(f"images/{key}", body)
    return lake


LAKES: Mapping[str, Callable[[], AbstractContextManager[Lake]]] = {"s3": s3_lake, "azure": azure_lake}
