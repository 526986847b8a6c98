"""The transport below httpx over TLS: certificates, kept connections, and answers that end early."""

import pytest

from tests.integration.scoring.scoring_cases import GOOD, MAPS, connections, score, sends
from tests.support.builders.certificates import server_context, write_certificate
from tests.support.servers.scripted_server import hang_up, serving


@pytest.fixture
def certificate(tmp_path):
    """The certificate of the server, which signs itself."""
    return write_certificate(tmp_path) / "ca.crt"


@pytest.fixture
def tls(certificate):
    return server_context((certificate, certificate.with_name("key")))


def test_over_tls_all_is_the_same(certificate, tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(sends(GOOD), tls=tls) as server:
        scored = score(server.url, times=2)
    assert scored.answers[0].maps.raw == MAPS
    assert connections(server) == [0, 0]


def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(tls):
    with serving(sends(GOOD), tls=tls) as server:
        error = score(server.url)
    assert (error.kind, error.still_working) == ("connect", False)
    assert server.seen == []


def test_over_tls_an_answer_that_ends_early_is_a_lost_connection(certificate, tls, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(sends(GOOD[:5000], hang_up), tls=tls) as server:
        error = score(server.url)
    assert (error.kind, error.still_working) == ("connection_lost", True)
