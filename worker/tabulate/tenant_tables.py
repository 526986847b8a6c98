"""The four result tables of a tenant, in the place that the operator chose for them."""

from dataclasses import dataclass

from maskrelay.contract.records import keys
from maskrelay.contract.tables.table_schema import TABLES
from maskrelay.delta.delta_table import DeltaTable
from maskrelay.delta.places_file import TenantTables, open_place
from maskrelay.delta.table_store import BoundedStore, TableStore
from worker.context import WorkerContext
from worker.context.job_records.plans import LruCache

#: The number of places whose tables are kept open.
_MOST_PLACES = 16


@dataclass(frozen=True, slots=True)
class ResultTables:
    """The four tables in one place."""

    masks: DeltaTable
    segments: DeltaTable
    items: DeltaTable
    runs: DeltaTable

    @classmethod
    def below(cls, storage: TableStore, prefix: str) -> "ResultTables":
        """Return the tables below `prefix`, which is empty or ends in `/`."""
        return cls(*(DeltaTable(storage, f"{prefix}{name}/", name, columns) for name, columns in TABLES.items()))

    def all(self) -> tuple[DeltaTable, ...]:
        return self.masks, self.segments, self.items, self.runs


class OpenTables:
    """The tables of several tenants. They are kept open, so the log of each table is read only once.

    One thread at a time may use an instance.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._opened = LruCache[tuple[str, TenantTables], ResultTables](lambda place: self._open(*place), _MOST_PLACES)

    def place_of(self, tenant: str) -> str:
        """Return a name of the place of this tenant's tables. Raises SettingsError for an invalid file of places."""
        return self._context.table_places.of(tenant).tables_url or keys.tables(tenant)

    def of(self, tenant: str) -> ResultTables:
        """Return the tables of this tenant. No request is sent.

        Raises SettingsError if their place is not valid, or if its credential may not write to it.
        """
        return self._opened((tenant, self._context.table_places.of(tenant)))

    def _open(self, tenant: str, place: TenantTables) -> ResultTables:
        if place.tables_url is None:
            return ResultTables.below(BoundedStore(self._context.storage), keys.tables(tenant))
        store = open_place(self._context.settings, self._context.credentials, tenant, place)
        return ResultTables.below(BoundedStore(store), "")
