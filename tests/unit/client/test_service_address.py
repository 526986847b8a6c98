"""The client follows links by their path alone, below whatever address it was given."""

import httpx
import pytest

from maskrelay.client.exchange import Exchange
from maskrelay.client.service_address import ServiceAddress
from maskrelay.errors import ServiceAnswerUnknown


@pytest.mark.parametrize("base", ["https://api.example.org", "https://gateway.example.org/v1/imaging/"])
@pytest.mark.parametrize("link", ["/v1/jobs/abc", "http://10.0.0.7:8000/v1/jobs/abc", "https://other/v1/x/v1/jobs/abc"])
def test_a_link_leads_to_the_address_that_the_client_was_given(base: str, link: str) -> None:
    assert ServiceAddress(base, "mr_key", 1).address(link) == f"{base.rstrip('/')}/v1/jobs/abc"


@pytest.mark.parametrize(
    "link", ["@evil.example/x", ".evil.example/x", "http://evil.example/x", "", "/v1/\0", "/v1/\ud800"]
)
def test_the_key_goes_nowhere_for_a_link_that_is_not_of_the_service(link: str) -> None:
    with httpx.Client() as http, pytest.raises(ServiceAnswerUnknown):
        ServiceAddress("https://api.example.org", "mr_key", 1).request(http, Exchange("GET", link))
