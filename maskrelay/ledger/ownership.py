"""Check whether a Redis database may be used: a single server or primary that belongs to no other deployment."""

import logging
from collections.abc import Callable

from maskrelay.errors import LedgerUnavailable, SettingsError
from maskrelay.ledger.scripts import Scripts

log = logging.getLogger(__name__)
_KEY = "mr:store"


class OwnDatabase:
    """Makes sure once that the database belongs to this store, as soon as both answer. May be used from any thread.

    store_id: asks the store for its id; raises StorageUnavailable.
    """

    def __init__(self, scripts: Scripts, store_id: Callable[[], str]) -> None:
        self._scripts = scripts
        self._store_id = store_id
        self._checked = self._named = False

    def check_at_start(self) -> None:
        """Raise SettingsError for a database that must not be used, LedgerUnavailable, StorageUnavailable."""
        check_database(self._scripts, self._store_id())
        self._checked = True

    def check(self) -> None:
        """As `check_at_start`, until it has succeeded once; a database that must not be used is one that is away.

        It is named in the log once, and can be used as soon as it was put right.
        """
        if self._checked:
            return
        try:
            self.check_at_start()
        except SettingsError as error:
            if not self._named:
                log.critical(error.detail)
            self._named = True
            raise LedgerUnavailable("the database must not be used") from error


def check_database(scripts: Scripts, store_id: str) -> None:
    """Take the database for the deployment with this store, or make sure that it is its own.

    A database that names no store, as a new or an emptied one, is taken; of several deployments that start at once the
    first one gets it. Raises SettingsError for another deployment's database and for a cluster, LedgerUnavailable.
    """
    if scripts.ask("INFO", "cluster").get("cluster_enabled"):
        hint = "use a single server, or Sentinels (redis+sentinel://)"
        raise SettingsError(f"MASKRELAY_REDIS_URL leads to a node of a Redis cluster: {hint}")
    if scripts.ask("SET", _KEY, store_id, "NX") is not None:
        return
    owner: bytes | None = scripts.ask("GET", _KEY)
    if owner is not None and owner.decode() != store_id:
        raise SettingsError(
            "this Redis database belongs to a deployment with another object store; their work would be mixed: "
            "give each deployment its own database (the number at the end of MASKRELAY_REDIS_URL), "
            f"or, if the store was replaced on purpose, empty the database or delete its key {_KEY}"
        )
