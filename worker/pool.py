"""The endpoints of one child: which of them a tenant may use, their common limits, and their clients."""

from collections.abc import Sequence
from dataclasses import dataclass

from maskrelay.contract.wire import RowAnswer
from maskrelay.endpoints import Endpoint, usable
from maskrelay.scoring.client import EndpointClient


@dataclass(frozen=True, slots=True)
class Pool:
    """Every configured endpoint with its client, in the order given."""

    endpoints: tuple[Endpoint, ...]
    clients: dict[str, EndpointClient[RowAnswer]]

    def among(self, tenant: str, pinned: str | None) -> tuple[str, ...]:
        """The names that a tenant's frame may be scored at.

        A job's pin narrows them to one; nothing is left when that is not, or no longer, the tenant's to use.
        """
        names = tuple(one.name for one in usable(self.endpoints, tenant))
        return names if pinned is None else tuple(name for name in names if name == pinned)

    def named(self, names: Sequence[str]) -> list[Endpoint]:
        return [one for one in self.endpoints if one.name in names]

    def alike(self, chosen: Endpoint, names: Sequence[str]) -> tuple[str, ...]:
        """Of `names`, those whose answers go together with `chosen`'s: the same model version and encoding."""
        kind = chosen.model_version, chosen.encoding
        return tuple(one.name for one in self.named(names) if (one.model_version, one.encoding) == kind)

    def rows_per_request(self, names: Sequence[str]) -> int:
        return min(one.rows_per_request for one in self.named(names))

    def request_bytes(self, names: Sequence[str]) -> int:
        return min(one.max_request_bytes for one in self.named(names))

    def prompts_per_score(self, names: Sequence[str]) -> int:
        return min(one.prompts_per_score for one in self.named(names))

    def takes_gray(self, names: Sequence[str]) -> bool:
        return all(one.gray for one in self.named(names))
