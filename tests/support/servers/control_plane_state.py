"""The state and the answers of the substitute for Azure Resource Manager (tests/support/servers/control_plane.py).

It was built from the REST reference of Microsoft.MachineLearningServices 2024-10-01, from "Track asynchronous Azure
operations", and from error texts that users have published (tests/support/servers/control_plane_words.py). It was not
compared with the real one, so it is strict in what it accepts, to find mistakes of the client. It contains only the
subscription, group and workspace below.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.servers import control_plane_words as words
from tests.support.servers.control_plane_bodies import faults

TOKEN = "a-token-of-entra"
SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"
GROUP, WORKSPACE, LOCATION = "imaging", "mip-workspace", "eastus"
CONFIG = {"subscription_id": SUBSCRIPTION, "resource_group": GROUP, "workspace_name": WORKSPACE}
_OF_AZURES_CLIENT = ("2022-02-01-preview", "2023-04-01-preview", "2024-10-01-preview", "2025-12-01")
#: The API versions that the service requests, and those that Azure's own client requests (azure-ai-ml 1.35).
VERSIONS = {
    "Microsoft.Authorization": {"2022-04-01"},
    "Microsoft.MachineLearningServices": {"2024-10-01", *_OF_AZURES_CLIENT},
}
SIZES = {
    "Standard_NC40ads_H100_v5": ("StandardNCadsH100v5Family", 40),
    "Standard_NC4as_T4_v3": ("Standard NCASv3_T4 Family", 4),
}
USAGES = {
    "StandardNCadsH100v5Family": "Standard NCadsH100v5 Family",
    "Standard NCASv3_T4 Family": "Standard NCASv3_T4 Family",
}

_ML = r"/providers/Microsoft\.MachineLearningServices"
_PATH = re.compile(
    rf"/subscriptions/(?P<subscription>[^/]+)(?:(?:/resourceGroups/(?P<group>[^/]+)(?:{_ML}/workspaces/(?P<workspace>[^/]+)"
    r"(?:/onlineEndpoints(?:/(?P<endpoint>[^/]+)(?:/(?P<act>listKeys|token)|(?P<deployments>/deployments)(?:/(?P<deployment>[^/]+))?)?)?)?)?)?"
    rf"(?:/providers/Microsoft\.Authorization/(?P<auth>roleDefinitions|roleAssignments)/(?P<id>[^/]+))?"
    rf"|{_ML}/locations/{LOCATION}/(?P<of>usages|vmSizes|mfeOperationsStatus/(?P<operation>\d+)|mfeOperationResults/(?P<result>\d+)))"
)

_BORN = {"createdAt": "2026-11-20T08:00:00Z", "createdBy": "operator", "lastModifiedAt": "2026-11-20T08:00:00Z"}
#: What Azure adds to a deployment. Its own client cannot read a deployment without these fields.
_FILLED = {
    "scaleSettings": {"scaleType": "Default"},
    "appInsightsEnabled": False,
    "egressPublicNetworkAccess": "Enabled",
}
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Azure:
    """The state of the control plane, and how it behaves.

    - `style` is how it reports operations in progress: `operation` (Azure-AsyncOperation), `location`, or by the
      resource's `state`. With `both`, there is an operation, and the state changes by itself.
    - `looks` is how often a poll finds an operation still in progress.
    - `denied` lists the actions that the identity may not do, and `taken` the names of other users' endpoints.
    - `limits` gives the quota of cores by family, and `breaks` the errors with which the operations on a name end.
    - `first` lists answers that are given before any other.
    """

    url: str = ""
    scoring: str = "https://{name}.eastus.inference.ml.azure.com/score"
    key: str = "the-endpoints-own-key"
    style: str = "operation"
    looks: int = 2
    denied: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGES, 100))
    breaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    first: list[Answer] = field(default_factory=list)
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    work: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def changes(self) -> list[tuple[str, str]]:
        """Return the calls that change something, by method and the last two parts of the path."""
        return [(method, "/".join(path.split("/")[-2:])) for method, path in self.calls if method != "GET"]

    def answer(self, method: str, url: str, token: str, body: Any) -> Answer:
        parts = urlsplit(url)
        self.calls.append((method, parts.path))
        if self.first:
            return self.first.pop(0)
        if token != f"Bearer {TOKEN}":
            return 401, words.BAD_TOKEN, {}
        found = _PATH.fullmatch(parts.path)
        if not found:
            return 404, words.error("InvalidResourceType", "The resource type could not be found."), {}
        version = parse_qs(parts.query).get("api-version", [""])[0]
        provider = parts.path.rpartition("/providers/")[2].partition("/")[0]
        if version not in VERSIONS.get(provider, ()):
            return 400, words.error("InvalidApiVersionParameter", f"The api-version '{version}' is invalid."), {}
        return self._above(found) or self._denied(method, parts.path, found) or self._do(method, parts, found, body)

    def _above(self, found: re.Match[str]) -> Answer | None:
        if found["subscription"] != SUBSCRIPTION:
            return 404, words.no_subscription(found["subscription"]), {}
        if found["group"] not in (None, GROUP):
            return 404, words.no_group(found["group"]), {}
        if found["workspace"] not in (None, WORKSPACE):
            return 404, words.no_resource(f"workspaces/{found['workspace']}", GROUP), {}
        return None

    def _denied(self, method: str, path: str, found: re.Match[str]) -> Answer | None:
        kind = found["of"] and f"locations/{found['of'].partition('/')[0]}"
        kind = kind or found["auth"] or "/".join(["workspaces", "onlineEndpoints", "deployments"][: _depth(found)])
        verb = {"PUT": "write", "PATCH": "write", "GET": "read", "DELETE": "delete"}.get(method)
        action = f"{'Microsoft.Authorization' if found['auth'] else 'Microsoft.MachineLearningServices'}/{kind}/"
        action += verb or f"{found['act']}/action"
        return (403, words.denied(action, path), {}) if action in self.denied else None

    def _do(self, method: str, parts: Any, found: re.Match[str], body: Any) -> Answer:
        path = parts.path
        if found["operation"] or found["result"]:
            return self._operation(found["operation"] or found["result"], by_location=bool(found["result"]))
        if found["of"]:
            return 200, self._of_location(found["of"], parts.query), {}
        if found["auth"]:
            return self._role(path, found, body)
        if found["act"]:
            return self._secret(path, found["act"])
        plain = {"GET": self._read, "DELETE": self._delete}.get(method)
        return plain(path) if plain else self._write(method, path, found, body)

    def _read(self, path: str) -> Answer:
        if path.endswith(f"/workspaces/{WORKSPACE}"):
            return 200, {"id": path, "name": WORKSPACE, "kind": "Default", "location": LOCATION, "properties": {}}, {}
        if path.endswith(("/onlineEndpoints", "/deployments")):
            found_here = [one for other, one in self.there.items() if other.rpartition("/")[0] == path]
            return 200, {"value": found_here, "nextLink": None}, {}
        if path not in self.there:
            return 404, words.no_resource(path.partition("/workspaces/")[2], GROUP), {}
        if self.style in ("state", "both"):
            self._look(path)
        headers = {"Retry-After": "0"}
        return (200, self.there[path], headers) if path in self.there else (404, words.no_resource("it", GROUP), {})

    def _write(self, method: str, path: str, found: re.Match[str], body: Any) -> Answer:
        old = self.there.get(path)
        if method == "PATCH" and old:
            body = {"location": old["location"], "properties": old["properties"], "sku": old["sku"] | body["sku"]}
        wrong = faults(body, found, [one["name"] for one in self.there.values()], LOCATION)
        if wrong:
            return 400, words.invalid(wrong), {}
        if not found["deployment"] and found["endpoint"] in self.taken and not old:
            return 400, words.NAME_TAKEN, {}
        short = self._short(path, body) if found["deployment"] else None
        if short:
            return 400, short, {}
        new = {"tags": {}} | body | {"id": path, "name": path.rpartition("/")[2], "systemData": dict(_BORN)}
        filled = _FILLED if found["deployment"] else {}
        given = {"properties": {}} | filled | new["properties"]
        new["properties"] = given | {"provisioningState": "Updating" if old else "Creating"}
        self.there[path] = new
        return self._begun(path, 200 if old else 201, new, deletes=False)

    def _delete(self, path: str) -> Answer:
        if path not in self.there:
            return 204, None, {}
        self.there[path]["properties"]["provisioningState"] = "Deleting"
        return self._begun(path, 202, None, deletes=True)

    def _begun(self, path: str, status: int, resource: Any, *, deletes: bool) -> Answer:
        number = str(len(self.work) + 1)
        self.work[number] = [path, self.looks, deletes]
        base = (
            f"{self.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/locations/{LOCATION}"
        )
        version = "api-version=2024-10-01"
        headers = {"Retry-After": "0"}
        if self.style in ("operation", "both"):
            headers["Azure-AsyncOperation"] = f"{base}/mfeOperationsStatus/{number}?{version}"
        elif self.style == "location":
            headers["Location"] = f"{base}/mfeOperationResults/{number}?{version}"
            status = 202
        return status, resource, headers

    def _operation(self, number: str, *, by_location: bool) -> Answer:
        path, left, _ = self.work[number]
        self._look(path)
        broken = self.breaks.get(path.rpartition("/")[2])
        if left > 0:
            return 202 if by_location else 200, {"status": "InProgress", "percentComplete": 50.0}, {"Retry-After": "0"}
        if by_location:
            return (400, {"error": broken}, {}) if broken else (200, self.there.get(path), {})
        return 200, {"status": "Failed", "error": broken} if broken else {"status": "Succeeded"}, {}

    def _look(self, path: str) -> None:
        """Count one more poll of the operation on a resource. The last poll ends the operation."""
        for number, (of, left, deletes) in self.work.items():
            if of == path and left >= 0:
                self.work[number][1] = left - 1
                if left <= 0 and deletes:
                    for one in [one for one in self.there if one == path or one.startswith(path + "/")]:
                        del self.there[one]
                elif left <= 0 and path in self.there:
                    self._end(path)

    def _end(self, path: str) -> None:
        properties = self.there[path]["properties"]
        name = path.rpartition("/")[2]
        properties["provisioningState"] = "Failed" if name in self.breaks else "Succeeded"
        if "authMode" in properties:
            properties.update(scoringUri=self.scoring.format(name=name), publicNetworkAccess="Enabled")

    def _secret(self, path: str, act: str) -> Answer:
        if path.rpartition("/")[0] not in self.there:
            return 404, words.no_resource(path, GROUP), {}
        if act == "listKeys":
            return 200, {"primaryKey": self.key, "secondaryKey": "another"}, {}
        return 200, {"accessToken": self.key, "expiryTimeUtc": 4e9, "refreshAfterTimeUtc": 3e9}, {}

    def _role(self, path: str, found: re.Match[str], body: Any) -> Answer:
        properties = body["properties"]
        if found["auth"] == "roleAssignments":
            role = properties["roleDefinitionId"].rpartition("/")[2]
            if not any(one.endswith(f"/roleDefinitions/{role}") for one in self.there):
                return (
                    404,
                    words.error(
                        "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{role}' does not exist."
                    ),
                    {},
                )
            if any(one["properties"] == properties and other != path for other, one in self.there.items()):
                return 409, words.error("RoleAssignmentExists", "The role assignment already exists."), {}
        self.there[path] = {"name": found["id"], "properties": properties}
        return 201, self.there[path], {}

    def _of_location(self, what: str, query: str) -> Any:
        if what == "vmSizes":
            return {
                "value": [{"name": name, "family": family, "vCPUs": cores} for name, (family, cores) in SIZES.items()]
            }
        page = int(parse_qs(query).get("page", ["0"])[0])
        family, named = list(USAGES.items())[page]
        usage = {"name": {"value": f"{named} Cluster Dedicated vCPUs", "localizedValue": f"{named} vCPUs"}}
        link = (
            f"{self.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices/locations/{LOCATION}"
        )
        more = {"nextLink": f"{link}/usages?api-version=2024-10-01&page={page + 1}"} if page + 1 < len(USAGES) else {}
        return {
            "value": [usage | {"currentValue": self._used(family), "limit": self.limits[family], "unit": "Count"}]
        } | more

    def _used(self, family: str, but: str = "") -> int:
        """Return the cores that a family's deployments use.

        Azure reserves a fifth more instances for upgrades, rounded up.
        """
        bodies = [one for path, one in self.there.items() if "sku" in one and path != but]
        return sum(_cores(one) for one in bodies if SIZES[one["properties"]["instanceType"]][0] == family)

    def _short(self, path: str, body: Any) -> Any:
        family = SIZES[body["properties"]["instanceType"]][0]
        used, limit = self._used(family, path), self.limits[family]
        if used + _cores(body) <= limit:
            return None
        return words.no_quota(body["properties"]["instanceType"], SUBSCRIPTION, used, limit, _cores(body))


def _cores(body: Any) -> int:
    return SIZES[body["properties"]["instanceType"]][1] * math.ceil(1.2 * body["sku"]["capacity"])


def _depth(found: re.Match[str]) -> int:
    return 1 + bool(found["endpoint"]) + bool(found["deployments"])
