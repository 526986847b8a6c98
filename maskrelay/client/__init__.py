"""The Python client: `from maskrelay.client import Client`."""

from maskrelay.client.client import Client
from maskrelay.client.saving import SavedFile

__all__ = ["Client", "SavedFile"]
