"""Calls to Azure's control plane (the resource manager): one resource at a time, and long work waited for."""

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx

from maskrelay.admin.azure.meaning import failure, refusal
from maskrelay.errors import AzureMissing, AzureUnfinished, AzureUnreachable, SettingsError
from maskrelay.scoring.checks import checked_url

AZURE = "https://management.azure.com"
#: Of the calls about workspaces, and of those about roles.
VERSION = "2024-10-01"
_VERSIONS = {"Microsoft.MachineLearningServices": VERSION, "Microsoft.Authorization": "2022-04-01"}
#: Seconds: one call; between two looks where Azure names no time; the longest and shortest that it may name.
_TIMEOUT, _LOOK, _LONGEST, _SHORTEST = 60.0, 10.0, 60.0, 0.05
#: Seconds without a change after which a line says that the work goes on.
_SILENCE = 60.0
#: Every call here can be repeated: a PUT, a PATCH and a DELETE say how it shall be.
_AGAIN, _TRIES = frozenset({429, 500, 502, 503, 504}), 4
_ABOVE = frozenset({"SubscriptionNotFound", "InvalidSubscriptionId", "ResourceGroupNotFound"})
_ENDED = frozenset({"Succeeded", "Failed", "Canceled"})

_AWAY_WAYS = ("look at the network and its proxy", "work that was begun goes on: maskrelay endpoint wait NAME")

Resource = dict[str, Any]


class Bearer(Protocol):
    def token(self) -> str:
        """What follows `Bearer` now. Raises AzureDenied."""
        ...


class Arm:
    """The control plane at `url`. Waits at most `patience` seconds for one piece of work and says how it goes.

    Raises SettingsError for an address that a token must not go to: anything but https or this machine.
    """

    def __init__(self, url: str, bearer: Bearer, *, say: Callable[[str], None], patience: float) -> None:
        self._url = checked_url(url, "the address of Azure's control plane")
        if self._url.scheme != "https" and self._url.host not in ("127.0.0.1", "localhost", "::1"):
            raise SettingsError("the control plane is asked by https alone: a token goes with every call")
        self._bearer = bearer
        self._say = say
        self._patience = patience
        self._http = httpx.Client(timeout=_TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Resource | None:
        """The resource, or None where there is none. A subscription or a group that is not there is an error."""
        answer, doing = self._send("GET", self._address(path)), f"read {_last(path)}"
        if answer.status_code != 404:
            return self._resource(answer, doing)
        error = refusal(404, answer.content, doing)
        if _ABOVE & set(error.fields["codes"]):
            raise error
        return None

    def must(self, path: str, what: str, *ways: str) -> Resource:
        """The resource. Raises AzureMissing that calls it `what`."""
        found = self.get(path)
        if found is None:
            raise AzureMissing(f"there is no {what}", ways=ways)
        return found

    def list(self, path: str) -> list[Resource]:
        """Every member of a collection, page after page."""
        found: list[Resource] = []
        link: str | None = self._address(path)
        while link:
            page = self._good(self._send("GET", self._own(link)), f"list {_last(path)}")
            found += page.get("value") or []
            link = page.get("nextLink")
        return found

    def post(self, path: str) -> Resource:
        return self._good(self._send("POST", self._address(path)), _last(path))

    def put(self, path: str, body: Resource, *, doing: str | None = None) -> Resource:
        """Create or replace, and wait; the resource as it is then. `doing` is what is told of it."""
        return self._settled(self._send("PUT", self._address(path), body), path, doing or f"create {_last(path)}")

    def put_role(self, path: str, body: Resource) -> Resource:
        """Create or replace a role or its assignment, which is done at once."""
        return self._good(self._send("PUT", self._address(path), body), "grant")

    def patch(self, path: str, body: Resource) -> Resource:
        """Change a part, and wait; the resource as it is then."""
        return self._settled(self._send("PATCH", self._address(path), body), path, f"change {_last(path)}")

    def delete(self, path: str) -> None:
        """Delete, and wait. What is not there is deleted."""
        answer, doing = self._send("DELETE", self._address(path)), f"delete {_last(path)}"
        if answer.status_code not in (204, 404):
            self._good(answer, doing)
            self._followed(answer, doing)

    def ready(self, path: str) -> Resource:
        """Wait for a resource that Azure is at work on. Raises AzureFailed where that failed."""
        doing, began, last = _last(path), time.monotonic(), _Last()
        while True:
            answer = self._send("GET", self._address(path))
            found = self._resource(answer, f"read {doing}")
            state = str(found["properties"].get("provisioningState") or "Succeeded")
            if state not in _ENDED or last.state:  # who finds it done has nothing to tell
                self._tell(last, doing, state, began)
            if state in _ENDED:
                break
            self._rest(answer, doing, began)
        if state != "Succeeded":
            raise failure({"status": state}, doing)
        return found

    def _settled(self, answer: httpx.Response, path: str, doing: str) -> Resource:
        self._good(answer, doing)
        self._followed(answer, doing)
        return self.ready(path)

    def _followed(self, answer: httpx.Response, doing: str) -> None:
        """Wait for an operation by the address that came with its acceptance, as the resource manager documents."""
        began, last = time.monotonic(), _Last()
        tells = "azure-asyncoperation" in answer.headers
        link = answer.headers.get("azure-asyncoperation")
        if link is None and answer.status_code == 202:
            link = answer.headers.get("location")
        while link:
            self._rest(answer, doing, began)
            answer = self._send("GET", self._own(link))
            operation = self._good(answer, doing)
            state = str(operation.get("status")) if tells else _state(answer)
            self._tell(last, doing, state, began)
            if state in _ENDED:
                if state != "Succeeded":
                    raise failure(operation, doing)
                return

    def _rest(self, answer: httpx.Response, doing: str, began: float) -> None:
        if time.monotonic() - began > self._patience:
            ways = ("Azure goes on by itself: maskrelay endpoint wait NAME", "or give it longer with --patience")
            raise AzureUnfinished(f"{doing} takes longer than {self._patience / 60:g} minutes", ways=ways)
        time.sleep(_pause(answer))

    def _tell(self, last: "_Last", doing: str, state: str, began: float) -> None:
        now = time.monotonic()
        if state != last.state or now - last.told > _SILENCE:
            seconds = now - began
            self._say(f"{doing}: {state}" + (f", {seconds:.0f} s" if seconds >= 1 else ""))
            last.state, last.told = state, now

    def _address(self, path: str) -> str:
        provider = path.rpartition("/providers/")[2].partition("/")[0]
        return str(self._url.join(f"{path}?api-version={_VERSIONS[provider]}"))

    def _own(self, link: str) -> str:
        """A link that the control plane gave. Raises AzureUnreachable where it leads elsewhere: a token goes along."""
        url = httpx.URL(link)
        near = url.host == self._url.host or url.host.endswith("." + self._url.host)
        if (url.scheme, url.port) != (self._url.scheme, self._url.port) or not near:
            raise AzureUnreachable("the control plane's answer leads to another host")
        return link

    def _send(self, method: str, url: str, body: Resource | None = None) -> httpx.Response:
        """One exchange, tried again where that can help. Raises AzureUnreachable."""
        for tried in range(1, _TRIES + 1):
            headers = {"authorization": f"Bearer {self._bearer.token()}", "accept": "application/json"}
            try:
                answer = self._http.request(method, url, json=body, headers=headers)
            except httpx.HTTPError as trouble:
                if tried == _TRIES:
                    said = f"Azure's control plane at {self._url.host} cannot be reached ({type(trouble).__name__})"
                    raise AzureUnreachable(said, ways=_AWAY_WAYS) from None
                time.sleep(_SHORTEST * 4**tried)
                continue
            if answer.status_code not in _AGAIN or tried == _TRIES:
                break
            time.sleep(_pause(answer))
        return answer

    def _good(self, answer: httpx.Response, doing: str) -> Resource:
        if not answer.is_success:
            raise refusal(answer.status_code, answer.content, doing)
        try:
            read = json.loads(answer.content or b"{}")
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise self._foreign()
        return read

    def _resource(self, answer: httpx.Response, doing: str) -> Resource:
        read = self._good(answer, doing)
        if not isinstance(read.get("properties"), dict):
            raise self._foreign()
        return read

    def _foreign(self) -> AzureUnreachable:
        return AzureUnreachable(f"what answers at {self._url.host} is no control plane of Azure")


class _Last:
    """What was told last of one piece of work, and when."""

    state = ""
    told = 0.0


def _state(answer: httpx.Response) -> str:
    """How an operation stands by its `Location`: 202 while it runs."""
    return "InProgress" if answer.status_code == 202 else "Succeeded"


def _pause(answer: httpx.Response) -> float:
    """Seconds until the next look, as Azure asks for."""
    try:
        return min(max(float(answer.headers["retry-after"]), _SHORTEST), _LONGEST)
    except (KeyError, ValueError):
        return _LOOK


def _last(path: str) -> str:
    return path.rpartition("/")[2]
