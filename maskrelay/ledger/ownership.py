"""The check whether a Redis database may be used. It must not be in a cluster, or belong to another deployment."""

import logging
from collections.abc import Callable

from maskrelay.errors import LedgerUnavailable, SettingsError
from maskrelay.ledger.scripts import Scripts

log = logging.getLogger(__name__)
_KEY = "mr:store"


class OwnDatabase:
    """A check that the database belongs to this store. It is made until it has succeeded once.

    Both the database and the store must respond to the check. Any thread may make it. `store_id` is a function that
    returns the id of the store, or raises StorageUnavailable.
    """

    def __init__(self, scripts: Scripts, store_id: Callable[[], str]) -> None:
        self._scripts = scripts
        self._store_id = store_id
        self._checked = self._named = False

    def check_at_start(self) -> None:
        """Raise SettingsError if the database must not be used.

        Also raises LedgerUnavailable if the database does not respond, and StorageUnavailable if the store does not.
        """
        check_database(self._scripts, self._store_id())
        self._checked = True

    def check(self) -> None:
        """Make the same check, unless it has already succeeded.

        If the database must not be used, raises LedgerUnavailable, and logs the reason once. A later call succeeds if
        the problem was fixed in the meantime. Raises StorageUnavailable if the store does not respond.
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
    """Check that the database belongs to the deployment with this store. Raises SettingsError if it does not.

    If the database contains no store id, because it is new or was emptied, this store's id is written, and the database
    belongs to this deployment from then on. If several deployments try this at the same time, the first one succeeds.
    Raises SettingsError for a node of a cluster too, and LedgerUnavailable if the database does not accept writes.
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
