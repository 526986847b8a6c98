"""Azure's error texts, from threads in which users show the answers that they got.

Quota: Azure/mlops-v2 issue 124 and MicrosoftLearning/mslearn-azure-ml issue 30. Name:
Azure/azureml-examples pull requests 1930 and 1931. Permission: Azure/llmops-gha-demo pull request 8. The
rest are common errors of Azure Resource Manager.
"""

import json
from typing import Any


def error(code: str, message: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": list(details)}}


def _inner(errors: dict[str, list[str]], code: str) -> dict[str, Any]:
    """Return the inferencing service's own answer, as text inside an answer of Azure Resource Manager."""
    kind = "https://tools.ietf.org/html/rfc7231#section-6.5.1"
    title = "One or more validation errors occurred."
    told = json.dumps({"errors": errors, "type": kind, "title": title, "status": 400, "traceId": "00-4be-01"})
    return {"code": code, "message": f"InferencingClient HttpRequest error, error detail: {told}", "details": []}


def no_quota(sku: str, subscription: str, used: int, limit: int, more: int) -> dict[str, Any]:
    told = (
        f"Not enough quota available for {sku} in SubscriptionId {subscription}. Current usage/limit: {used}/{limit}. "
    )
    told += f"Additional needed: {more} Please see troubleshooting guide, available here: "
    told += "https://aka.ms/oe-tsg#error-outofquota"
    inner = _inner({"VmSize": [told]}, "InferencingClientCreateDeploymentFailed")
    return error("BadRequest", "The request is invalid.", inner)


_TAKEN = "There is already an endpoint with this name, Endpoint name needs to be unique within a region. "
_TAKEN += "Try some other name."
NAME_TAKEN = error("BadRequest", "The request is invalid.", _inner({"": [_TAKEN]}, "InferencingClientCallFailed"))
BAD_TOKEN = error("InvalidAuthenticationToken", "The access token is invalid.")


def invalid(wrong: str) -> dict[str, Any]:
    return error("BadRequest", "The request is invalid.", {"code": "InvalidProperty", "message": wrong})


def denied(action: str, scope: str) -> dict[str, Any]:
    who = "The client 'operator@example.org' with object id '99999999-8888-4777-8666-555555555555'"
    over = f"does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. "
    return error("AuthorizationFailed", f"{who} {over}If access was recently granted, please refresh your credentials.")


def no_resource(what: str, group: str) -> dict[str, Any]:
    told = f"The Resource 'Microsoft.MachineLearningServices/{what}' under resource group '{group}' was not found."
    return error("ResourceNotFound", f"{told} For more details please go to https://aka.ms/ARMResourceNotFoundFix")


def no_group(group: str) -> dict[str, Any]:
    return error("ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def no_subscription(subscription: str) -> dict[str, Any]:
    return error("SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
