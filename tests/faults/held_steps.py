"""A step of some process's work, as a border that it crosses: there it is held until it has been killed."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from maskrelay.contract.records.job import Lane
from tests.support.drivers.stack_behind_proxies import Scene
from tests.support.proxies.holds import Hold


@dataclass(frozen=True)
class Step:
    """Held at a script of the ledger (its name, then its first arguments) or at a request to the object store.

    after: its answer is held, so that what was asked for is done and the process does not know. wants: only an answer
    that holds this.
    """

    name: str
    where: Literal["ledger", "store"]
    what: str
    after: bool = False
    wants: bytes = b""
    lane: Lane = "interactive"

    def held(self, at: Scene) -> AbstractContextManager[Hold[Any]]:
        if self.where == "ledger":
            return at.redis.held(at.redis.script(*self.what.split()), after=self.after, wants=self.wants)
        assert at.s3 is not None
        return at.s3.held(self.what, after=self.after)
