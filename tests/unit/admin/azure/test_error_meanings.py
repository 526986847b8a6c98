"""What Azure's errors mean, whatever they look like."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from maskrelay.admin.azure.error_meanings import failure, refusal
from maskrelay.errors import (
    AzureBusy,
    AzureDenied,
    AzureError,
    AzureFailed,
    AzureMissing,
    AzureRefused,
    AzureUnreachable,
    QuotaExceeded,
)
from tests.support.servers import control_plane_words as words

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(
        ["error", "code", "message", "details", "status", "errors"]), inner),
    max_leaves=12,
)  # fmt: skip


def meant(status: int, body: Any) -> AzureError:
    return refusal(status, json.dumps(body).encode(), "create blue")


def test_the_numbers_of_a_quota_are_found_inside_the_inferencing_services_own_json():
    error = meant(400, words.no_quota("Standard_F4s_v2", "s", 0, 6, 8))
    assert isinstance(error, QuotaExceeded)
    assert error.detail == "not enough quota for Standard_F4s_v2: 0 of 6 cores are in use, and 8 more are needed"
    assert error.azure.startswith("Not enough quota available for Standard_F4s_v2")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, None, AzureDenied),
        (403, words.error("RequestDisallowedByPolicy", "a policy says no"), AzureDenied),
        (404, words.error("ResourceNotFound", "…"), AzureMissing),
        (404, words.no_subscription("s"), AzureMissing),
        (409, words.error("Conflict", "…"), AzureBusy),
        (429, words.error("TooManyRequests", "…"), AzureBusy),
        (400, words.error("InvalidProperty", "…"), AzureRefused),
        (400, words.error("RoleDefinitionDoesNotExist", "…"), AzureBusy),
        (400, words.error("PrincipalNotFound", "…"), AzureMissing),
        (400, words.error("X", "…", {"code": "OutOfQuota", "message": "no capacity in the region"}), QuotaExceeded),
        (500, words.error("InternalServerError", "…"), AzureUnreachable),
        (503, None, AzureUnreachable),
    ],
)
def test_a_refusal_is_told_by_its_code_else_by_its_status(status: int, body: Any, kind: type[AzureError]):
    assert type(meant(status, body)) is kind


def test_a_failed_operation_keeps_the_innermost_words_on_one_line():
    inner = {"code": "ResourceNotReady", "message": "The container\ncrashed."}
    error = failure(
        {"status": "Failed", "error": {"code": "Outer", "message": "see details", "details": [inner]}}, "create blue"
    )
    assert (type(error), error.detail) == (AzureFailed, "create blue: Failed (ResourceNotReady)")
    assert error.azure == "The container crashed."


@given(JSON, some.sampled_from([400, 401, 404, 409, 500]))
def test_any_answer_means_one_of_our_errors(body: Any, status: int):
    assert isinstance(meant(status, body), AzureError)
    assert isinstance(failure(body, "create blue"), AzureError)


@given(some.binary(max_size=60))
def test_an_answer_that_is_no_json_means_one_too(body: bytes):
    assert isinstance(refusal(502, body, "create blue"), AzureUnreachable)
