"""What TLS connections trust and show: real handshakes over memory, and every file that cannot be used."""

import ssl
from pathlib import Path

import pytest

from maskrelay.errors import SettingsError
from maskrelay.network import certificates
from maskrelay.network.certificates import ca_bundle, client_context, redis_options
from tests.support.builders.certificates import Authority, server_context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    return Authority(folder, "other")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "MASKRELAY_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


def shaken(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, object] | None:
    """The client's certificate as the server saw it, after a handshake for `server.example`; raises ssl.SSLError."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="server.example")
    two = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (one, two):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    two.do_handshake()
    return two.getpeercert()


def of_bundle() -> ssl.SSLContext:
    """What a library trusts that is given the bundle's path and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_bundle())
    return context


WAYS = pytest.mark.parametrize("make", [client_context, of_bundle], ids=["context", "bundle"])


@WAYS
def test_a_private_authority_is_trusted_in_addition_to_the_usual_ones(make, authority, other, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    for signer in (authority, other):
        shaken(make(), server_context(signer.issue("server", "server.example")))


@WAYS
def test_a_private_authority_leaves_the_systems_trusted(make, authority, monkeypatch):
    system = make().get_ca_certs()
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    trusted = make().get_ca_certs()
    assert len(trusted) == len(system) + 1
    assert len(system) > 10


@WAYS
def test_ssl_cert_file_replaces_the_systems_authorities(make, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert len(make().get_ca_certs()) == 1


@WAYS
def test_a_folder_of_authorities_is_trusted(make, authority, other, tmp_path, monkeypatch):
    (tmp_path / "0a775a30.0").symlink_to(authority.file)
    (tmp_path / "notes.txt").write_text("not a certificate")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(other.file))
    shaken(make(), server_context(other.issue("server", "server.example")))
    if make is of_bundle:  # OpenSSL finds files in the folder by the hash of the subject, which this name is not
        shaken(make(), server_context(authority.issue("server", "server.example")))


@WAYS
def test_without_a_store_of_the_system_certifis_authorities_are_trusted(make, tmp_path, monkeypatch):
    empty = ssl.DefaultVerifyPaths(None, str(tmp_path), "SSL_CERT_FILE", "/no", "SSL_CERT_DIR", "/no")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: empty)
    assert len(make().get_ca_certs()) > 10


@WAYS
def test_a_server_of_an_unknown_authority_is_refused(make, authority):
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(make(), server_context(authority.issue("server", "server.example")))


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "MASKRELAY_CA_FILE"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\x30\x82\x01"], ids=repr)
def test_a_file_that_cannot_be_used_is_named(name, content, tmp_path, monkeypatch):
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(name, str(file))
    with pytest.raises(SettingsError, match=name) as caught:
        client_context()
    assert caught.value.names == (name,)
    assert str(tmp_path) not in caught.value.detail


def test_a_missing_file_is_named_by_the_bundle_too(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(tmp_path / "away"))
    with pytest.raises(SettingsError, match="MASKRELAY_CA_FILE cannot be read"):
        ca_bundle()


def test_a_librarys_own_variable_is_in_the_place_of_the_systems(authority, other, monkeypatch):
    monkeypatch.setenv("LIBRARYS_BUNDLE", str(other.file))
    assert ca_bundle("LIBRARYS_BUNDLE") == str(other.file)
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_bundle("LIBRARYS_BUNDLE"))
    assert len(context.get_ca_certs()) == 2


def test_where_nothing_is_merged_no_copy_is_made(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert ca_bundle() == str(authority.file)


def test_a_system_without_memory_files_has_a_temporary_one(authority, other, monkeypatch):
    monkeypatch.delattr("os.memfd_create")
    monkeypatch.setattr(certificates, "_kept", kept := [])
    certificates._merged.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    shaken(of_bundle(), server_context(authority.issue("server", "server.example")))
    kept[0].close()
    certificates._merged.cache_clear()
    assert not Path(kept[0].name).exists()


@pytest.mark.parametrize("joined", [False, True], ids=["two files", "one file"])
def test_a_client_certificate_is_shown(joined, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    certificate, key = authority.issue("client")
    given: tuple[str, str | None] = (str(certificate), str(key))
    if joined:
        both = tmp_path / "both.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        given = (str(both), None)
    server = server_context(authority.issue("server", "server.example"), clients=authority.file)
    seen = shaken(client_context(*given), server)
    assert seen is not None
    assert seen["subject"] == ((("commonName", "client"),),)


def test_client_certificates_that_cannot_be_used_are_refused_by_name(authority, folder, tmp_path):
    certificate, key = authority.issue("one")
    _, another = authority.issue("two")
    _, encrypted = authority.issue("three", passphrase=b"secret")
    cases = {
        "the private key is encrypted": (authority.issue("three", passphrase=b"secret")),
        "does not belong to the certificate": (certificate, another),
        "cannot be read": (tmp_path / "away", key),
        "does not contain a certificate with its private key": (certificate, None),
    }
    for words, (cert_file, key_file) in cases.items():
        with pytest.raises(SettingsError, match=words) as caught:
            client_context(str(cert_file), str(key_file) if key_file else None, what="MASKRELAY_ENDPOINT_CERT_FILE")
        assert caught.value.detail.startswith("MASKRELAY_ENDPOINT_CERT_FILE")
        assert str(folder) not in caught.value.detail
    with pytest.raises(SettingsError, match="needs a certificate"):
        client_context(None, str(key), what="MASKRELAY_ENDPOINT_CERT_FILE")
    assert encrypted.exists()


def test_redis_is_given_what_is_set_and_nothing_else(monkeypatch):
    for name in ("MASKRELAY_REDIS_CERT_FILE", "MASKRELAY_REDIS_CERT_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert redis_options() == {}
    monkeypatch.setenv("MASKRELAY_CA_FILE", "/ca")
    monkeypatch.setenv("MASKRELAY_REDIS_CERT_FILE", "/cert")
    monkeypatch.setenv("MASKRELAY_REDIS_CERT_KEY_FILE", "/key")
    assert redis_options() == {"ssl_ca_certs": "/ca", "ssl_certfile": "/cert", "ssl_keyfile": "/key"}
