"""Define a role that allows only scoring with tokens of the endpoint, and assign it to an identity.

The built-in role AzureML Data Scientist allows scoring, but also allows changing and deleting endpoints. Therefore, a
custom role is created once in each resource group. The ids of the role and of the assignment are derived from names, so
a repeated grant addresses the same resources.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from maskrelay.admin.azure.arm import Arm
from maskrelay.admin.azure.control_plane_calls import Resource
from maskrelay.admin.azure.create import endpoint_of
from maskrelay.admin.azure.workspace import Workspace
from maskrelay.errors import AzureError, AzureNameInvalid

_ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/"
_ACTIONS = [_ENDPOINTS + "score/action", _ENDPOINTS + "token/action"]
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WAY = "az ad sp show --id CLIENT_ID --query id (an identity); az role definition list --name ROLE --query '[0].name'"
_ROLES = "/providers/Microsoft.Authorization/roleDefinitions/"


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to score at one endpoint, for one identity. `principal` is the object id of the identity.

    `kind` is `ServicePrincipal` (also for managed identities), `User` or `Group`. `role` is the id of an existing role;
    by default, the custom role is used. Raises AzureNameInvalid if `principal` or `role` is not an id.
    """

    workspace: Workspace
    endpoint: str
    principal: str
    kind: str = "ServicePrincipal"
    role: str | None = None

    def __post_init__(self) -> None:
        for given in (self.principal, self.role):
            if given is not None and not _ID.fullmatch(given):
                raise AzureNameInvalid(f"{given!r} is not an object id or a role id", ways=(_WAY,))

    @property
    def role_id(self) -> str:
        return self.role or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.workspace.group}#scoring".lower()))

    @property
    def role_name(self) -> str:
        """Return the name of the custom role, which must be unique in the directory."""
        return f"maskrelay scoring {self.role_id[:8]}"

    @property
    def scope(self) -> str:
        return self.workspace.endpoint(self.endpoint)

    def definition(self) -> Resource:
        permissions = [{"actions": _ACTIONS, "notActions": []}]
        about = "Can score at online endpoints and request their tokens."
        named = {"roleName": self.role_name, "description": about, "type": "CustomRole"}
        return {"properties": named | {"permissions": permissions, "assignableScopes": [self.workspace.group]}}

    def assignment(self) -> Resource:
        role = f"/subscriptions/{self.workspace.subscription_id}{_ROLES}{self.role_id}"
        who = {"principalId": self.principal, "principalType": self.kind}
        return {"properties": {"roleDefinitionId": role} | who}

    def assignment_path(self) -> str:
        made_of = f"{self.scope}#{self.principal}#{self.role_id}".lower()
        return (
            f"{self.scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid5(uuid.NAMESPACE_URL, made_of)}"
        )

    def commands(self) -> list[str]:
        """Return the equivalent `az` commands."""
        role = {
            "Name": self.role_name,
            "IsCustom": True,
            "Description": self.definition()["properties"]["description"],
            "Actions": _ACTIONS,
            "NotActions": [],
            "AssignableScopes": [self.workspace.group],
        }
        create = f"az role definition create --role-definition '{json.dumps(role)}'"
        assign = (
            f"az role assignment create --assignee-object-id {self.principal} --assignee-principal-type {self.kind}"
        )
        assign += f" --role '{self.role or self.role_name}' --scope '{self.scope}'"
        return [assign] if self.role else [create, assign]


def grant(arm: Arm, wanted: Grant, say: Callable[[str], None]) -> None:
    """Create the custom role unless the grant names a role, and assign the role.

    An existing assignment is not an error. Raises AzureError.
    """
    endpoint_of(arm, wanted.workspace, wanted.endpoint)
    if wanted.role is None:
        arm.put_role(f"{wanted.workspace.group}{_ROLES}{wanted.role_id}", wanted.definition())
    try:
        arm.put_role(wanted.assignment_path(), wanted.assignment())
    except AzureError as error:
        if "RoleAssignmentExists" not in error.codes:
            raise
    named = wanted.role or wanted.role_name
    say(f"{wanted.principal} has the role {named} at {wanted.endpoint}; it can take some minutes to take effect")
