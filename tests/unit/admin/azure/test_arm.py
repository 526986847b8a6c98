"""Calls to the control plane: patience, and pages."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from maskrelay.admin.azure.arm import Arm
from maskrelay.admin.azure.bearer import GivenToken
from maskrelay.admin.azure.spec import DeploymentSpec
from maskrelay.admin.azure.workspace import Workspace
from maskrelay.errors import AzureUnfinished, AzureUnreachable, SettingsError
from tests.support.servers.control_plane import running_azure
from tests.support.servers.control_plane_state import (
    CONFIG,
    LOCATION,
    TOKEN,
    USAGES,
    Azure,
)

WORKSPACE = Workspace.model_validate(CONFIG)


@pytest.fixture
def azure() -> Iterator[Azure]:
    with running_azure() as running:
        yield running


@pytest.mark.parametrize("style", ["operation", "location", "state"])
def test_work_that_outlasts_the_patience_is_unfinished_and_not_failed(azure: Azure, style: str):
    azure.style, azure.looks = style, 10**6
    with (
        closing(Arm(azure.url, GivenToken(TOKEN), say=lambda _: None, patience=0.01)) as arm,
        pytest.raises(AzureUnfinished),
    ):
        arm.put(WORKSPACE.endpoint("mip-east"), DeploymentSpec("mip-east", "blue").endpoint_body(LOCATION))


def test_every_page_of_a_list_is_read(azure: Azure):
    with closing(Arm(azure.url, GivenToken(TOKEN), say=lambda _: None, patience=1)) as arm:
        assert len(arm.list(WORKSPACE.of_location(LOCATION, "usages"))) == len(USAGES)


def test_a_page_of_another_host_is_not_asked_for(azure: Azure):
    azure.first = [(200, {"value": [], "nextLink": "http://127.0.0.1:9/steal"}, {})]
    with (
        closing(Arm(azure.url, GivenToken(TOKEN), say=lambda _: None, patience=1)) as arm,
        pytest.raises(AzureUnreachable),
    ):
        arm.list(WORKSPACE.of_location(LOCATION, "usages"))


@pytest.mark.parametrize("body", [["a list"], "text", None, {}, {"properties": 1}])
def test_what_is_no_control_plane_is_said(azure: Azure, body: object):
    azure.first = [(200, body, {})]
    opened = closing(Arm(azure.url, GivenToken(TOKEN), say=lambda _: None, patience=1))
    with opened as arm, pytest.raises(AzureUnreachable, match="is not Azure's control plane"):
        arm.get(WORKSPACE.path)


@pytest.mark.parametrize("url", ["http://management.example", "ftp://127.0.0.1", "https://user@management.azure.com"])
def test_a_token_is_not_sent_to_such_an_address(url: str):
    with pytest.raises(SettingsError):
        Arm(url, GivenToken(TOKEN), say=lambda _: None, patience=1)
