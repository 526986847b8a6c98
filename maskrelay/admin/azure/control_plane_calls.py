"""Calls to Azure's control plane (Azure Resource Manager): read, list and change resources over HTTP."""

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
#: API versions: the first is for resources of a workspace, the second for roles.
VERSION = "2024-10-01"
_VERSIONS = {"Microsoft.MachineLearningServices": VERSION, "Microsoft.Authorization": "2022-04-01"}
#: In seconds: the timeout of a call, the polling interval if Azure gives none, and the longest and the shortest
#: interval that is accepted from Azure.
_TIMEOUT, _LOOK, _LONGEST, _SHORTEST = 60.0, 10.0, 60.0, 0.05
#: The largest response that is read, in bytes.
_MOST_BYTES = 64 << 20
#: The statuses that are retried, and the number of attempts. Every call can be repeated safely: PUT, PATCH and DELETE
#: describe the target state, and POST only requests keys or tokens.
_AGAIN, _TRIES = frozenset({429, 500, 502, 503, 504}), 4
_ABOVE = frozenset({"SubscriptionNotFound", "InvalidSubscriptionId", "ResourceGroupNotFound"})
_AWAY_WAYS = (
    "check the network and the proxy (HTTPS_PROXY, MASKRELAY_ENDPOINT_PROXY)",
    "Azure continues operations that have started; to wait for them: maskrelay endpoint wait NAME",
)

Resource = dict[str, Any]


class Bearer(Protocol):
    def token(self) -> str:
        """Return the token to send after `Bearer`. Raises AzureDenied."""
        ...


class Calls:
    """A client of the control plane at `url`. Every method raises AzureError.

    Without `proxy`, the proxy of the environment is used. The constructor raises SettingsError for a URL that is
    neither https:// nor on this machine, because every request carries a token.
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
        """Return the resource, or None if it does not exist.

        Raises AzureMissing if the subscription or the resource group does not exist.
        """
        answer, doing = self.send("GET", self.address(path)), f"read {last_of(path)}"
        if answer.status_code != 404:
            return self.resource(answer, doing)
        error = refusal(404, answer.content, doing)
        if _ABOVE & set(error.codes):
            raise error
        return None

    def must(self, path: str, what: str, *ways: str) -> Resource:
        """Return the resource.

        Raises AzureMissing, with a message that calls the resource `what`, if it does not exist.
        """
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
        """Create or replace a role or the assignment of a role. The call has no operation to wait for."""
        return self.good(self.send("PUT", self.address(path), body), "grant")

    def address(self, path: str) -> str:
        provider = path.rpartition("/providers/")[2].partition("/")[0]
        return str(self._url.join(f"{path}?api-version={_VERSIONS[provider]}"))

    def own(self, link: str) -> str:
        """Return `link` if it leads to the host of the control plane, or to a subdomain of this host.

        Raises AzureUnreachable otherwise, because the request to the link would carry the token.
        """
        url = httpx.URL(link)
        near = url.host == self._url.host or url.host.endswith("." + self._url.host)
        if (url.scheme, url.port) != (self._url.scheme, self._url.port) or not near:
            raise AzureUnreachable("the control plane's response contains a link to another host")
        return link

    def send(self, method: str, url: str, body: Resource | None = None) -> httpx.Response:
        """Send one request.

        Retry it after network errors, and after statuses that can be temporary. Raises AzureUnreachable if no attempt
        gets a response.
        """
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
        """Return the content of a successful response. Raises AzureError for any other response."""
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
        """Return the resource in a successful response. Raises AzureError for any other response."""
        read = self.good(answer, doing)
        if not isinstance(read.get("properties"), dict):
            raise self._foreign()
        return read

    def _foreign(self) -> AzureUnreachable:
        return AzureUnreachable(f"the server at {self._url.host} is not Azure's control plane")


def pause(answer: httpx.Response) -> float:
    """Return the seconds until the next poll: what Azure requests, within our limits."""
    try:
        return min(max(float(answer.headers["retry-after"]), _SHORTEST), _LONGEST)
    except (KeyError, ValueError):
        return _LOOK


def state_of(resource: Resource) -> str:
    """Return the provisioning state of the resource. A resource without a state has succeeded."""
    return str(resource["properties"].get("provisioningState") or "Succeeded")


def last_of(path: str) -> str:
    return path.rpartition("/")[2]
