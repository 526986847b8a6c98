from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.errors import (
    EndpointDenied,
    EndpointError,
    EndpointThrottled,
    EndpointTimeout,
    EndpointUnavailable,
    RequestTooLarge,
    ScoringFailed,
)
from maskrelay.scoring.statuses import classify

INNER = "ms-azureml-model-error-statuscode"
RUN_FAILED = {"x-ms-run-function-failed": "True"}
RUN_FINE = {"x-ms-run-function-failed": "False"}


def sort(status, headers=None, body=b"", **more):
    error = classify(status, headers or {}, body, **more)
    assert isinstance(error, EndpointError)
    assert error.status == status
    return type(error), error.kind, error.still_working


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, (EndpointDenied, "unauthorized", False)),
        (403, {}, (EndpointDenied, "forbidden", False)),
        (404, {}, (EndpointUnavailable, "no_deployment", False)),
        (408, {}, (EndpointTimeout, "request_timeout", True)),
        (413, {}, (RequestTooLarge, "too_large", False)),
        (424, {INNER: "400"}, (ScoringFailed, "model_error", False)),
        (424, {INNER: "413"}, (RequestTooLarge, "too_large", False)),
        (424, {INNER: "415"}, (ScoringFailed, "model_error", False)),
        (424, {INNER: "500"}, (ScoringFailed, "model_error", False)),
        (424, {INNER: "429"}, (EndpointThrottled, "pending", False)),
        (424, {INNER: "502"}, (EndpointUnavailable, "unavailable", False)),
        (424, {INNER: "503"}, (EndpointUnavailable, "unavailable", False)),
        (424, {INNER: "504"}, (EndpointUnavailable, "unavailable", False)),
        (424, {}, (ScoringFailed, "model_error", False)),
        (424, {INNER: "²"}, (ScoringFailed, "model_error", False)),
        (424, {INNER: "9" * 5000}, (ScoringFailed, "model_error", False)),
        (500, {}, (EndpointUnavailable, "server_error", False)),
        (502, {}, (EndpointUnavailable, "bad_gateway", False)),
        (503, {}, (EndpointUnavailable, "unavailable", False)),
        (504, {}, (EndpointUnavailable, "gateway_timeout", True)),
    ],
)
def test_the_gateways_statuses_mean_what_the_contract_says(status, headers, expected):
    assert sort(status, headers) == expected


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (500, RUN_FAILED, (ScoringFailed, "model_error", False)),
        (500, RUN_FINE, (EndpointUnavailable, "server_error", False)),
        (400, RUN_FINE, (ScoringFailed, "refused", False)),
        (415, RUN_FINE, (ScoringFailed, "refused", False)),
        (405, RUN_FINE, (EndpointUnavailable, "misconfigured", False)),
        (431, RUN_FINE, (EndpointUnavailable, "misconfigured", False)),
    ],
)
def test_a_bare_containers_statuses_mean_what_the_contract_says(status, headers, expected):
    assert sort(status, headers) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (204, (EndpointUnavailable, "not_scoring", False)),
        (206, (EndpointUnavailable, "not_scoring", False)),
        (302, (EndpointUnavailable, "redirect", False)),
        (308, (EndpointUnavailable, "redirect", False)),
        (418, (ScoringFailed, "refused", False)),
        (422, (ScoringFailed, "refused", False)),
        (507, (EndpointUnavailable, "server_error", False)),
        (999, (EndpointUnavailable, "server_error", False)),
    ],
)
def test_undocumented_statuses_blame_the_request_only_where_it_can_be_to_blame(status, expected):
    assert sort(status) == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"message": "Too many pending requests."}', "pending"),
        (b'{"message": "Rate-limited: too many requests per second."}', "rate"),
        (b"Too many requests: rate limit exceeded", "rate"),
        (b"the model generates too much", "pending"),
        (b"", "pending"),
    ],
)
def test_the_two_kinds_of_429_are_told_apart(body, kind):
    assert sort(429, {}, body) == (EndpointThrottled, kind, False)


@pytest.mark.parametrize("body", [b"[]", b'[{"a": 1}]', b" \n[1] \n", b"{}", b"null", b"\xff"])
def test_a_200_that_looks_whole_goes_to_the_parser(body):
    assert classify(200, {"content-type": "application/json"}, body) is None


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ({}, b"", "empty"),
        ({}, b"  \n", "empty"),
        ({}, b'[{"image_features": "abc', "truncated"),
        ({}, b"<!doctype html><html></html>", "html"),
        ({}, b"\n <html>", "html"),
        ({"Content-Type": "text/HTML; charset=utf-8"}, b"Healthy", "html"),
    ],
)
def test_a_200_that_is_not_the_containers_answer_is_infrastructure(headers, body, kind):
    assert sort(200, headers, body) == (EndpointUnavailable, kind, False)


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "301"}, 300.0),
        ({"retry-after": "999999999999"}, 300.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 08:28:30 GMT", "date": DATE}, 300.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:30 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Wednesday, 21-Oct-15 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:30 GMT", "date": DATE}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 404])
def test_retry_after_is_read_as_seconds_or_date_and_capped(status, headers, seconds):
    error = classify(status, headers, b"")
    assert error is not None
    assert error.retry_after_s == seconds


def test_a_date_without_the_servers_own_is_measured_from_now():
    now = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
    error = classify(503, {"retry-after": "Wed, 21 Oct 2015 07:28:09 GMT"}, b"", now=now)
    assert error is not None
    assert error.retry_after_s == 9.0


def test_nothing_of_the_answer_is_quoted():
    body = b'{"message": "Traceback: patient Doe, /var/azureml-app/score.py"}'
    error = classify(424, {INNER: "500", "ms-azureml-model-error-reason": "patient Doe"}, body)
    assert error is not None
    assert "Doe" not in f"{error} {vars(error)}"


@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(["Retry-After", "date", INNER, "content-type", "x-ms-run-function-failed"]), st.text()
    ),
    st.binary(),
)
def test_whatever_comes_back_is_sorted(status, headers, body):
    error = classify(status, headers, body)
    if error is None:
        assert status == 200
    else:
        assert 0 <= (error.retry_after_s or 0) <= 300
