"""Whether a Redis database may be used: one server or primary, and no other deployment's."""

from maskrelay.errors import SettingsError
from maskrelay.ledger.scripts import Scripts

_KEY = "mr:store"


def check_database(scripts: Scripts, store_id: str) -> None:
    """Take the database for the deployment with this store, or make sure that it is its own.

    A database that names no store, as a new or an emptied one, is taken; of several deployments that start at once the
    first one gets it. Raises SettingsError for another deployment's database and for a cluster, LedgerUnavailable.
    """
    if scripts.ask("INFO", "cluster").get("cluster_enabled"):
        hint = "take one server, or Sentinels (redis+sentinel://)"
        raise SettingsError(f"MASKRELAY_REDIS_URL leads to a node of a Redis cluster: {hint}")
    if scripts.ask("SET", _KEY, store_id, "NX") is not None:
        return
    owner: bytes | None = scripts.ask("GET", _KEY)
    if owner is not None and owner.decode() != store_id:
        raise SettingsError(
            "this Redis database belongs to a deployment with another object store, whose work would be mixed up with "
            "this one's: give each deployment a database of its own (the number at the end of MASKRELAY_REDIS_URL); "
            f"or, where the store was replaced on purpose, empty the database or delete its key {_KEY}"
        )
