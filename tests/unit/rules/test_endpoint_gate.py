"""What an error means for the gate of an endpoint."""

from datetime import timedelta

from maskrelay.errors import EndpointDenied, EndpointThrottled, EndpointTimeout, ScoringFailed
from maskrelay.rules.endpoint_gate import report_of


def test_errors_mean_what_the_contract_says_for_the_gate():
    assert report_of(ScoringFailed(kind="model")).kind == "failed"
    assert report_of(EndpointDenied(kind="unauthorised")).kind == "denied"
    assert report_of(EndpointThrottled(kind="rate", retry_after_s=7.0)).retry_after == timedelta(seconds=7)
    assert report_of(EndpointThrottled(kind="rate", retry_after_s=900.0)).retry_after == timedelta(seconds=300)
    assert report_of(EndpointTimeout(kind="client_timeout", still_working=True)).keep_slot
