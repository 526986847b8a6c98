"""The client follows links by their path alone, below whatever address it was given."""

import pytest

from maskrelay.client.service_address import ServiceAddress


@pytest.mark.parametrize("base", ["https://api.example.org", "https://gateway.example.org/v1/imaging/"])
@pytest.mark.parametrize("link", ["/v1/jobs/abc", "http://10.0.0.7:8000/v1/jobs/abc", "https://other/v1/x/v1/jobs/abc"])
def test_a_link_leads_to_the_address_that_the_client_was_given(base: str, link: str) -> None:
    assert ServiceAddress(base, "mr_key", 1).address(link) == f"{base.rstrip('/')}/v1/jobs/abc"
