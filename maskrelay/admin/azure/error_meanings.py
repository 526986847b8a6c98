"""Explain the errors of Azure's control plane. Patterns are searched for in the text of an error.

Sources: the error format of Azure Resource Manager (code, message, details), error texts that users have published, and
Microsoft's page "Troubleshoot online endpoint deployment", which lists the codes.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from maskrelay.errors import (
    AzureBusy,
    AzureDenied,
    AzureError,
    AzureFailed,
    AzureMissing,
    AzureNameTaken,
    AzureRefused,
    AzureUnreachable,
    QuotaExceeded,
)

#: The maximum number of characters of Azure's own text that are shown.
_SHOWN = 700
_QUOTA_WAYS = (
    "request more cores of this family: Azure ML studio, Quota, or https://aka.ms/oe-tsg#error-outofquota",
    "or delete an unused deployment, or use another --sku or another region",
    "an upgrade needs 20 % more instances, rounded up, so with one instance it needs the cores of two",
    "or use the studio's shared quota, which does not reduce yours; but Azure deletes such an endpoint after 168 hours",
)
_ROLE_WAYS = (
    "ask an owner of the workspace for a role: AzureML Data Scientist, or User Access Administrator to grant roles",
    "a new role takes some minutes to take effect; then sign in again",
)
_SIGN_IN_WAYS = (
    "sign in (az login), or assign an identity to the machine; AZURE_TOKEN_CREDENTIALS narrows the search",
)
_LOGS_WAYS = (
    "read the container's log; maskrelay endpoint status NAME prints the command",
    "then run create again; what already exists is kept",
)


class Sign(NamedTuple):
    """One row of the table `_SIGNS`: a pattern and its meaning.

    All codes and messages of an error are searched for the pattern. `detail` may refer to groups of the pattern.
    """

    pattern: str
    error: type[AzureError]
    detail: str
    ways: tuple[str, ...]


_SIGNS = (
    Sign(
        r"Not enough quota available for (?P<sku>\S+).*?usage/limit: (?P<used>\d+)/(?P<limit>\d+)\. "
        r"Additional needed: (?P<more>\d+)",
        QuotaExceeded,
        "not enough quota for {sku}: {used} of {limit} cores are in use, and {more} more are needed",
        _QUOTA_WAYS,
    ),
    Sign(r"\b(OutOfQuota|QuotaExceeded|OutOfCapacity)\b", QuotaExceeded, "Azure reports {0}", _QUOTA_WAYS),
    Sign(
        r"already an endpoint with this name",
        AzureNameTaken,
        "another endpoint in this region already has this name",
        ("choose another name: it must be unique within the region, over all subscriptions",),
    ),
    Sign(
        r"does not have authorization to perform action '(?P<action>[^']+)' over scope '(?P<scope>[^']+)'",
        AzureDenied,
        "this identity may not {action} at {scope}",
        _ROLE_WAYS,
    ),
    Sign(
        r"\b(InvalidAuthenticationToken\w*|ExpiredAuthenticationToken|AuthenticationFailed)\b",
        AzureDenied,
        "Azure does not accept the token ({0})",
        _SIGN_IN_WAYS,
    ),
    Sign(
        r"\b(SubscriptionNotFound|InvalidSubscriptionId)\b",
        AzureMissing,
        "the subscription does not exist, or this identity has no access to it",
        ("compare with: az account list --output table", "set it with: maskrelay endpoint import config.json"),
    ),
    Sign(
        r"\bResourceGroupNotFound\b",
        AzureMissing,
        "the resource group does not exist",
        ("set it with: maskrelay endpoint import config.json",),
    ),
    Sign(
        r"\bRoleDefinitionDoesNotExist\b",
        AzureBusy,
        "the new role is not yet known everywhere in Azure",
        ("this takes about a minute: run the same command again",),
    ),
    Sign(
        r"PrincipalNotFound",
        AzureMissing,
        "the directory does not contain this identity",
        ("use the object id of its service principal, not its client id: az ad sp show --id CLIENT_ID --query id",),
    ),
    Sign(
        r"UnmatchedPrincipalType",
        AzureRefused,
        "the identity is not of the given type",
        ("set the type with --principal-type",),
    ),
)
_BY_STATUS: dict[int, tuple[type[AzureError], tuple[str, ...]]] = {
    401: (AzureDenied, _SIGN_IN_WAYS),
    403: (AzureDenied, _ROLE_WAYS),
    404: (AzureMissing, ("compare the names: maskrelay endpoint status lists the workspace's endpoints",)),
    409: (AzureBusy, ("wait until Azure has finished: maskrelay endpoint wait NAME",)),
    429: (AzureBusy, ("try again in some minutes",)),
}


def refusal(status: int, body: bytes, doing: str) -> AzureError:
    """Return the error for an HTTP response other than 2xx.

    `doing` describes the request, for example `create blue`.
    """
    kind, ways = _BY_STATUS.get(status, (AzureUnreachable if status >= 500 else AzureRefused, ()))
    return _said(_json(body), f"{doing}: Azure responds with {status}", kind, ways)


def failure(operation: Any, doing: str) -> AzureError:
    """Return the error for an operation that ended without success."""
    state = operation.get("status") if isinstance(operation, dict) else None
    return _said(operation, f"{doing}: {state or 'Failed'}", AzureFailed, _LOGS_WAYS)


def _said(answer: Any, otherwise: str, kind: type[AzureError], ways: tuple[str, ...]) -> AzureError:
    parts = list(_parts(answer.get("error", answer) if isinstance(answer, dict) else None))
    everything = " ".join(f"{code} {words}" for code, words in parts)
    codes = [code for code, _ in parts if code]
    for sign in _SIGNS:
        found = re.search(sign.pattern, everything, re.DOTALL)
        if found:
            detail = sign.detail.format(*found.groups(), **found.groupdict())
            return sign.error(detail, ways=sign.ways, azure=_words(parts), codes=codes)
    detail = f"{otherwise}{f' ({codes[-1]})' if codes else ''}"
    return kind(detail, ways=ways, azure=_words(parts), codes=codes)


def _parts(error: Any) -> Iterator[tuple[str, str]]:
    """Yield every code with its message, outermost first. Some services put more codes, as JSON, into a message."""
    if not isinstance(error, dict):
        return
    code, words = str(error.get("code") or ""), str(error.get("message") or "")
    if code or words:
        yield code, words
    inner = _json(words[words.find("{") :].encode()) if "{" in words else None
    if isinstance(inner, dict) and isinstance(inner.get("errors"), dict):
        for name, sentences in inner["errors"].items():
            for sentence in sentences if isinstance(sentences, list) else [sentences]:
                yield str(name), str(sentence)
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        yield from _parts(detail)


def _words(parts: list[tuple[str, str]]) -> str:
    """Return the innermost message, which is the most specific one, on a single line."""
    last = next((words for _, words in reversed(parts) if words), "")
    return " ".join(last.split())[:_SHOWN]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
