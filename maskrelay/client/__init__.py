"""The Python client: `from maskrelay.client import Client`."""

from maskrelay.client.download import SavedFile
from maskrelay.client.service_client import Client

__all__ = ["Client", "SavedFile"]
