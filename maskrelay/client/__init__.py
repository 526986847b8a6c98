"""The Python client: `from maskrelay.client import Client`, or `AsyncClient` for asyncio."""

from maskrelay.client.async_client import AsyncClient
from maskrelay.client.download import SavedFile
from maskrelay.client.job_handles import AsyncItem, AsyncJob, Item, Job
from maskrelay.client.service_client import Client
from maskrelay.client.service_events import JobEvent

__all__ = ["AsyncClient", "AsyncItem", "AsyncJob", "Client", "Item", "Job", "JobEvent", "SavedFile"]
