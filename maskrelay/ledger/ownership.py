"""Check whether a Redis database may be used: it must be a primary and belong to no other deployment."""

import logging
from collections.abc import Callable

from maskrelay.errors import LedgerUnavailable, SettingsError
from maskrelay.ledger.scripts import Scripts

log = logging.getLogger(__name__)
_KEY = "mr:store"


class OwnDatabase:
    """A check that the database belongs to this store. It is made once, when both respond, and from any thread.

    `store_id` returns the id of the store, and raises StorageUnavailable.
    """

    def __init__(self, scripts: Scripts, store_id: Callable[[], str]) -> None:
        self._scripts = scripts
        self._store_id = store_id
        self._checked = self._named = False

    def check_at_start(self) -> None:
        """Raise SettingsError if the database must not be used.

        Also raises LedgerUnavailable or StorageUnavailable if one of them does not respond.
        """
        check_database(self._scripts, self._store_id())
        self._checked = True

    def check(self) -> None:
        """Make the check of `check_at_start`, unless it has already succeeded.

        If the database must not be used, this raises LedgerUnavailable and logs the reason once. The database can be
        used as soon as the problem is fixed.
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
    """Claim the database for the deployment with this store, or check that it already belongs to it.

    A database that names no store, because it is new or was emptied, is claimed. If several deployments start
    at the same time, the first one gets it. Raises SettingsError for the database of another deployment and for
    a cluster, and LedgerUnavailable.
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
