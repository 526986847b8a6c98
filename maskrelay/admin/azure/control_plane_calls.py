"""Single calls to Azure's control plane (Azure Resource Manager): read, list, and the HTTP exchange below them."""

import json
import time
from typing import Any, Protocol

import httpx

from maskrelay.admin.azure.error_meanings import refusal
from maskrelay.errors import AzureMissing, AzureUnreachable, SettingsError
from maskrelay.network.http_clients import client_options
from maskrelay.network.proxies import Proxy
from maskrelay.network.response_bodies import received
from maskrelay.scoring.url_checks import LOOPBACK, checked_url

AZURE = "https://management.azure.com"
#: API versions: of the calls about workspaces, and of those about roles.
VERSION = "2024-10-01"
_VERSIONS = {"Microsoft.MachineLearningServices": VERSION, "Microsoft.Authorization": "2022-04-01"}
#: Seconds: timeout of a call; polling interval if Azure gives none; the longest and shortest that it may give.
_TIMEOUT, _LOOK, _LONGEST, _SHORTEST = 60.0, 10.0, 60.0, 0.05
#: The largest response that is read.
_MOST_BYTES = 64 << 20
#: Statuses that are retried, and the attempts. Every call is idempotent: PUT, PATCH and DELETE give the target state.
_AGAIN, _TRIES = frozenset({429, 500, 502, 503, 504}), 4
_ABOVE = frozenset({"SubscriptionNotFound", "InvalidSubscriptionId", "ResourceGroupNotFound"})
_AWAY_WAYS = (
    "check the network and the proxy (HTTPS_PROXY, MASKRELAY_ENDPOINT_PROXY)",
    "Azure continues work that has started; to wait for it: maskrelay endpoint wait NAME",
)

Resource = dict[str, Any]


class Bearer(Protocol):
    def token(self) -> str:
        """Return the token to send after `Bearer`. Raises AzureDenied."""
        ...


class Calls:
    """The control plane at `url`. Every method raises AzureError.

    Without `proxy`, the environment's proxy is used. Raises SettingsError for an address to which a token must not be
    sent: anything but https or this machine.
    """

    def __init__(self, url: str, bearer: Bearer, proxy: Proxy | None = None) -> None:
        self._url = checked_url(url, "the address of Azure's control plane")
        if self._url.scheme != "https" and self._url.host not in LOOPBACK:
            raise SettingsError(
                "the control plane's URL must begin with https://, because every request carries a token"
            )
        self._bearer = bearer
        self._http = httpx.Client(timeout=_TIMEOUT, **client_options(self._url, proxy=proxy))

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Resource | None:
        """Return the resource, or None if it does not exist. A missing subscription or resource group is an error."""
        answer, doing = self.send("GET", self.address(path)), f"read {last_of(path)}"
        if answer.status_code != 404:
            return self.resource(answer, doing)
        error = refusal(404, answer.content, doing)
        if _ABOVE & set(error.fields["codes"]):
            raise error
        return None

    def must(self, path: str, what: str, *ways: str) -> Resource:
        """Return the resource. Raises AzureMissing, which calls it `what`."""
        found = self.get(path)
        if found is None:
            raise AzureMissing(f"there is no {what}", ways=ways)
        return found

    def list(self, path: str) -> list[Resource]:
        """Return all members of a collection, page by page."""
        found: list[Resource] = []
        link: str | None = self.address(path)
        while link:
            page = self.good(self.send("GET", self.own(link)), f"list {last_of(path)}")
            found += page.get("value") or []
            link = page.get("nextLink")
        return found

    def post(self, path: str) -> Resource:
        return self.good(self.send("POST", self.address(path)), last_of(path))

    def put_role(self, path: str, body: Resource) -> Resource:
        """Create or replace a role or its assignment, which takes effect at once."""
        return self.good(self.send("PUT", self.address(path), body), "grant")

    def address(self, path: str) -> str:
        provider = path.rpartition("/providers/")[2].partition("/")[0]
        return str(self._url.join(f"{path}?api-version={_VERSIONS[provider]}"))

    def own(self, link: str) -> str:
        """Return a link from the control plane. Raises AzureUnreachable if it leads elsewhere: it receives a token."""
        url = httpx.URL(link)
        near = url.host == self._url.host or url.host.endswith("." + self._url.host)
        if (url.scheme, url.port) != (self._url.scheme, self._url.port) or not near:
            raise AzureUnreachable("the control plane's response points to another host")
        return link

    def send(self, method: str, url: str, body: Resource | None = None) -> httpx.Response:
        """Send one request, with retries where they can help. Raises AzureUnreachable."""
        for tried in range(1, _TRIES + 1):
            headers = {"authorization": f"Bearer {self._bearer.token()}", "accept": "application/json"}
            try:
                with self._http.stream(method, url, json=body, headers=headers) as streamed:
                    answer = received(streamed, _MOST_BYTES)
            except httpx.HTTPError as trouble:
                if tried == _TRIES:
                    by_proxy = isinstance(trouble, httpx.ProxyError)
                    why = f"the proxy reports {trouble}" if by_proxy else type(trouble).__name__
                    said = f"Azure's control plane at {self._url.host} cannot be reached ({why})"
                    raise AzureUnreachable(said, ways=_AWAY_WAYS) from None
                time.sleep(_SHORTEST * 4**tried)
                continue
            if answer.status_code not in _AGAIN or tried == _TRIES:
                break
            time.sleep(pause(answer))
        return answer

    def good(self, answer: httpx.Response, doing: str) -> Resource:
        """Return the content of a successful response; raises the error of any other."""
        if not answer.is_success:
            raise refusal(answer.status_code, answer.content, doing)
        try:
            read = json.loads(answer.content or b"{}")
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise self._foreign()
        return read

    def resource(self, answer: httpx.Response, doing: str) -> Resource:
        """Return the resource in a successful response."""
        read = self.good(answer, doing)
        if not isinstance(read.get("properties"), dict):
            raise self._foreign()
        return read

    def _foreign(self) -> AzureUnreachable:
        return AzureUnreachable(f"what answers at {self._url.host} is no control plane of Azure")


def pause(answer: httpx.Response) -> float:
    """Return the seconds until the next poll, as Azure requests."""
    try:
        return min(max(float(answer.headers["retry-after"]), _SHORTEST), _LONGEST)
    except (KeyError, ValueError):
        return _LOOK


def state_of(resource: Resource) -> str:
    """Return the provisioning state of the resource; without one, it counts as succeeded."""
    return str(resource["properties"].get("provisioningState") or "Succeeded")


def last_of(path: str) -> str:
    return path.rpartition("/")[2]
