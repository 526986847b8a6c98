"""What Azure refuses, or does not answer, is said by the real command with a way out."""

import pytest

from tests.support.servers.azures import Operator
from tests.support.servers.control_plane_state import GROUP, SUBSCRIPTION, WORKSPACE

pytestmark = pytest.mark.slow_subject("azure-endpoint")

APPLIED = ("--apply", "--patience", "1")
BLUE = "medimageparse-v10"
PRINCIPAL = "12345678-aaaa-4bbb-8ccc-1234567890ab"


def test_too_little_quota_is_said_with_numbers_and_a_way_out(at: Operator):
    at.azure.limits["StandardNCadsH100v5Family"] = 40
    ran = at.run("create", "mip-east", *APPLIED, code=3)
    told = ran.err[ran.err.index("maskrelay:") :].splitlines()
    assert told[0] == (
        "maskrelay: not enough quota for Standard_NC40ads_H100_v5: 0 of 40 cores are in use, and 80 more are needed "
        "[quota_exceeded]"
    )
    assert told[1].startswith("  Azure says: Not enough quota available for Standard_NC40ads_H100_v5 in SubscriptionId")
    assert any("168 hours" in line for line in told)
    at.azure.limits["StandardNCadsH100v5Family"] = 100
    at.run("create", "mip-east", *APPLIED)


def test_a_missing_permission_is_named(at: Operator):
    at.has("there", sku="Standard_NC4as_T4_v3")
    provider = "Microsoft.MachineLearningServices"
    for action, words in {
        f"{provider}/workspaces/read": ("create", "mip-east"),
        f"{provider}/workspaces/onlineEndpoints/write": ("create", "mip-east"),
        f"{provider}/workspaces/onlineEndpoints/deployments/write": ("create", "mip-east"),
        f"{provider}/workspaces/onlineEndpoints/delete": ("delete", "there"),
        "Microsoft.Authorization/roleDefinitions/write": ("grant", "there", PRINCIPAL),
        "Microsoft.Authorization/roleAssignments/write": ("grant", "there", PRINCIPAL),
    }.items():
        at.azure.denied = {action}
        told = at.run(*words, *APPLIED, code=3).err
        assert (
            f"maskrelay: this identity may not {action} at /subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}" in told
        )
        assert "[azure_denied]" in told
        assert "  next: ask an owner of the workspace for a role" in told


def test_a_name_that_another_has_is_said(at: Operator):
    at.azure.taken = {"mip-east"}
    told = at.run("create", "mip-east", *APPLIED, code=3).lines()
    assert told[0] == "maskrelay: another endpoint in this region already has this name [azure_name_taken]"
    assert told[2].startswith("  next: choose another name")


def test_a_name_that_azure_would_not_take_is_refused_before_anything_is_sent(at: Operator):
    for words in (("create", "1st", *APPLIED), ("delete", "x; echo"), ("traffic", "mip-east", "a_b=100", *APPLIED)):
        assert "[azure_name_invalid]" in at.run(*words, code=3).err
    assert at.azure.calls == []


def test_a_deployment_that_fails_shows_azures_words_and_is_made_anew_by_the_next_create(at: Operator):
    why = "User container has crashed or terminated. Please see troubleshooting guide."
    at.azure.breaks = {BLUE: {"code": "ResourceNotReady", "message": why, "details": []}}
    told = at.run("create", "mip-east", *APPLIED, code=3).err
    assert f"maskrelay: create {BLUE}: Failed (ResourceNotReady) [azure_failed]\n  Azure says: {why}" in told
    assert f"warning    deployment {BLUE} is Failed" in at.run("status", "mip-east").out
    assert "[azure_failed]" in at.run("wait", "mip-east", code=3).err
    at.azure.breaks.clear()
    at.run("create", "mip-east", *APPLIED)
    assert "warning" not in at.run("status", "mip-east").out


def test_a_token_that_azure_does_not_take_says_to_sign_in(at: Operator):
    told = at.run("status", code=3, MASKRELAY_AZURE_TOKEN="an-old-one").err
    assert "maskrelay: Azure does not accept the token (InvalidAuthenticationToken) [azure_denied]" in told
    assert "sign in (az login)" in told


def test_a_busy_or_broken_control_plane_is_asked_again(at: Operator):
    slow_down = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
    at.azure.first = [(429, slow_down, {"Retry-After": "0"}), (503, None, {"Retry-After": "0"})]
    assert at.run("status").out.startswith("endpoint")
    at.azure.first = [(429, slow_down, {"Retry-After": "0"})] * 4
    assert "[azure_busy]" in at.run("status", code=3).err


def test_a_control_plane_that_is_away_is_said(at: Operator):
    told = at.run("status", code=3, MASKRELAY_AZURE_URL="http://127.0.0.1:9").err
    assert "cannot be reached (ConnectError) [azure_unreachable]" in told


def test_a_token_goes_to_no_other_host_and_never_without_tls(at: Operator):
    elsewhere = {"Azure-AsyncOperation": at.azure.url.replace("127.0.0.1", "127.0.0.2") + "/steal", "Retry-After": "0"}
    at.has("mip-east", sku="Standard_NC4as_T4_v3")
    read = {"name": WORKSPACE, "location": "eastus", "properties": {}}
    there = next(one for one in at.azure.there.values() if one["name"] == "mip-east")
    at.azure.first = [(200, read, {}), (200, there, {}), (202, None, elsewhere)]
    assert "contains a link to another host [azure_unreachable]" in at.run("delete", "mip-east", *APPLIED, code=3).err
    assert "must begin with https://" in at.run("status", code=3, MASKRELAY_AZURE_URL="http://management.example").err
