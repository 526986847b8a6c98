"""The objects that the stages share: storage, ledger, leases, caches and records.

Each process builds them once from the settings, after the fork. Read this module first, then `job_records`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from maskrelay.contract.records.api_key_file import KeyEntry, read_keys
from maskrelay.contract.vocabulary.segment_codes import CodeTable, read_code_table
from maskrelay.endpoints import Endpoint, read_endpoints
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.broker import Publisher, broker
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.ledger.quotas import Usage, default_quotas, quotas_in
from maskrelay.reread_file import RereadFile
from maskrelay.settings import Settings
from maskrelay.site_identifiers import SiteIdentifiers
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.factory import open_configured
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry.spans import Spans, Untraced
from maskrelay.telemetry.tracing import open_spans
from worker.context.bad_objects import BadObjects
from worker.context.source_cache import SourceCache
from worker.context.table_places import TablePlaces

T = TypeVar("T")
#: The largest number of jobs of a single image that one child process finishes at a time (see `BLOCKING_THREADS`).
WRITING_THREADS = 32


@dataclass(frozen=True)
class WorkerContext:
    """The objects that all steps in one process share."""

    settings: Settings
    storage: Storage
    ledger: Ledger
    spans: Spans = field(default_factory=Untraced)

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The configured endpoints. Raises SettingsError.

        They are read on first use, because workers that do not score need no endpoints in their settings.
        """
        return read_endpoints(self.settings)

    @cached_property
    def audit(self) -> AuditLog:
        """The audit log of this process. It is created on first use, which is after the fork."""
        return AuditLog(self.storage, "worker")

    @cached_property
    def _writing(self) -> ThreadPoolExecutor:
        """The threads in which `meanwhile` writes.

        They are created on first use, which is after the fork, and kept, because starting a thread for each job of a
        single image takes longer than writing an object.
        """
        return ThreadPoolExecutor(WRITING_THREADS, thread_name_prefix="writing")

    @contextmanager
    def meanwhile(self, write: Callable[..., T], *arguments: object) -> Iterator[Future[T]]:
        """Call `write` in another thread while the block writes other objects. At its end, the call has ended too."""
        written = self._writing.submit(write, *arguments)
        try:
            yield written
        finally:
            wait([written])

    @cached_property
    def recorder(self) -> StageRecorder:
        """The metrics recorder of this process. It is created on first use, which is after the fork."""
        return StageRecorder(self.ledger.metrics.tell)

    @cached_property
    def bad_objects(self) -> BadObjects:
        """The jobs and uploads that the passes of this process have skipped because their objects cannot be used."""
        return BadObjects(self.storage, self.ledger, self.recorder)

    @cached_property
    def _keys(self) -> RereadFile[list[KeyEntry]] | None:
        path = self.settings.keys_file
        return None if path is None else RereadFile.open(Path(path), "keys", read_keys)

    def quotas_of(self, tenant: str) -> Usage:
        """Return the limits of the tenant, as the API applies them. Raises SettingsError for an invalid keys file."""
        return quotas_in(self._keys.current() if self._keys else (), tenant, default_quotas(self.settings))

    @cached_property
    def credentials(self) -> CredentialFile:
        """The credentials of other stores. Raises SettingsError if the file cannot be used."""
        return CredentialFile.open(self.settings.credentials_file)

    @cached_property
    def source_readers(self) -> SourceReaders:
        """The readers of sources by reference. They are created on first use, which is after the fork.

        Raises SettingsError if the credentials file cannot be used.
        """
        return SourceReaders(self.credentials)

    def sources(self) -> SourceCache:
        """Return a new cache of sources, with its own local copies."""
        settings = self.settings
        bounds = {"max_bytes": settings.max_source_bytes, "most_bytes": settings.copies_bytes}
        return SourceCache(self.storage, self.source_readers, **bounds, space_bytes=settings.copies_space_bytes)

    def segment_codes(self) -> CodeTable:
        """Return the operator's own segment codes. Raises CodesInvalid."""
        file = self.settings.codes_file
        return read_code_table(Path(file).read_bytes()) if file else {}

    @cached_property
    def table_places(self) -> TablePlaces:
        """The places of the tenants' result tables."""
        return TablePlaces(self.settings.tables_file)

    @cached_property
    def site_identifiers(self) -> SiteIdentifiers:
        """The pseudonyms of the tenants' sites."""
        return SiteIdentifiers(self.settings.site_identifiers_file)

    def flow(self) -> Flow:
        """Return the flow control of the configured endpoints."""
        return self.ledger.flow(self.endpoints, slot_lease=self.settings.slot_lease)

    def in_flight(self) -> int:
        """Return the sum of the limits on requests in flight of all endpoints that workers have announced,
        but at least 1.
        """
        return sum(endpoint.max_in_flight for endpoint in self.ledger.endpoints.known()) or 1


def build(settings: Settings, process: str) -> WorkerContext:
    """Build the shared objects. Clients connect on first use. `process` is the name of this process in traces."""
    app = broker(
        settings.redis_url.get_secret_value(),
        visibility_timeout=settings.visibility_timeout,
    )
    ledger = open_ledger(
        settings.redis_url.get_secret_value(),
        Publisher(app),
        claim_lease=settings.claim_lease,
        step_lease=settings.step_lease,
        delivery_lease=settings.delivery_lease,
        score_lifetime=settings.result_lifetime,
    )
    storage = open_configured(settings)
    return WorkerContext(settings, storage, ledger, open_spans(settings.otlp_endpoint, process))
