"""The transport below httpx over TLS: certificates, kept connections, and answers that end early."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.scoring.scoring_cases import GOOD, MAPS, connections, score, sends
from tests.support.servers.scripted_server import hang_up, serving


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "endpoint")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + signed.public_bytes(encoding))
    return file


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


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
