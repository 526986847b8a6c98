"""Long-running operations of Azure's control plane: a call starts one, and polling waits until it ends.

Source: Microsoft's page "Track asynchronous Azure operations". Polling an operation needs a permission at a level above
the resource. Without this permission, the resource itself is polled.
"""

import time
from collections.abc import Callable

import httpx

from maskrelay.admin.azure.control_plane_calls import (
    Bearer,
    Calls,
    Resource,
    last_of,
    pause,
    state_of,
)
from maskrelay.admin.azure.error_meanings import failure
from maskrelay.errors import AzureDenied, AzureUnfinished
from maskrelay.network.proxies import Proxy

#: After this many seconds without a change of state, a progress message says that the operation continues.
_SILENCE = 60.0
#: The states of a resource without an operation in progress.
ENDED = frozenset({"Succeeded", "Failed", "Canceled"})


class Arm(Calls):
    """A client that runs operations, waits for them, and reports their progress by calling `say`.

    Every method raises AzureError, for example AzureUnfinished after waiting for `patience` seconds.
    """

    def __init__(
        self, url: str, bearer: Bearer, *, say: Callable[[str], None], patience: float, proxy: Proxy | None = None
    ) -> None:
        super().__init__(url, bearer, proxy)
        self._say = say
        self._patience = patience

    def put(self, path: str, body: Resource, *, doing: str | None = None) -> Resource:
        """Create or replace a resource, wait, and return it. `doing` describes the operation in progress messages."""
        return self._settled(self.send("PUT", self.address(path), body), path, doing or f"create {last_of(path)}")

    def patch(self, path: str, body: Resource) -> Resource:
        """Change a part of a resource, wait, and return it."""
        return self._settled(self.send("PATCH", self.address(path), body), path, f"change {last_of(path)}")

    def delete(self, path: str) -> None:
        """Delete a resource and wait until it is gone. It is not an error if the resource does not exist."""
        answer, work = self.send("DELETE", self.address(path)), _Work(f"delete {last_of(path)}")
        if answer.status_code in (204, 404):
            return
        self.good(answer, work.doing)
        self._followed(answer, work)
        while answer.status_code != 404:
            answer = self.send("GET", self.address(path))
            if answer.status_code != 404:
                self._tell(work, state_of(self.resource(answer, work.doing)))
                self._rest(answer, work)

    def ready(self, path: str) -> Resource:
        """Wait for the operation in progress on a resource, and return the resource.

        Raises AzureError if the operation failed.
        """
        work = _Work(last_of(path))
        while True:
            answer = self.send("GET", self.address(path))
            found = self.resource(answer, f"read {work.doing}")
            state = state_of(found)
            if state not in ENDED or work.state:  # an operation that ended before the first poll is not reported
                self._tell(work, state)
            if state in ENDED:
                break
            self._rest(answer, work)
        if state != "Succeeded":
            raise failure({"status": state}, work.doing)
        return found

    def _settled(self, answer: httpx.Response, path: str, doing: str) -> Resource:
        self.good(answer, doing)
        self._followed(answer, _Work(doing))
        return self.ready(path)

    def _followed(self, answer: httpx.Response, work: "_Work") -> None:
        """Poll the operation whose address is in the response, until the operation ends.

        Return at once if the response has no address, or if this identity may not read the operation.
        """
        link, tells = answer.headers.get("azure-asyncoperation"), True
        if link is None and answer.status_code == 202:
            link, tells = answer.headers.get("location"), False
        state = ""
        while link and state not in ENDED:
            self._rest(answer, work)
            answer = self.send("GET", self.own(link))
            try:
                operation = self.good(answer, work.doing)
            except AzureDenied:
                return
            by_location = "InProgress" if answer.status_code == 202 else "Succeeded"
            state = str(operation.get("status")) if tells else by_location
            self._tell(work, state)
            if state in ("Failed", "Canceled"):
                raise failure(operation, work.doing)

    def _rest(self, answer: httpx.Response, work: "_Work") -> None:
        if time.monotonic() - work.began > self._patience:
            ways = (
                "Azure continues the operation; to wait for it again: maskrelay endpoint wait NAME",
                "or wait longer with --patience",
            )
            raise AzureUnfinished(f"{work.doing}: not finished after {self._patience / 60:g} minutes", ways=ways)
        time.sleep(pause(answer))

    def _tell(self, work: "_Work", state: str) -> None:
        now = time.monotonic()
        if state != work.state or now - work.reported > _SILENCE:
            seconds = now - work.began
            self._say(f"{work.doing}: {state}" + (f", {seconds:.0f} s" if seconds >= 1 else ""))
            work.state, work.reported = state, now


class _Work:
    """An operation: its description and start, and the state and time of the last progress message."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.began = self.reported = time.monotonic()
        self.state = ""
