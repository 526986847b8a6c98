"""TLS of outgoing connections: trusted certificate authorities (CA), private ones included, and client certificates.

The trusted authorities are those of `SSL_CERT_FILE` or `SSL_CERT_DIR` if one of them is set, otherwise those of the
system (of certifi if the system has none), and in addition those in the file that `MASKRELAY_CA_FILE` names.
"""

import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import IO

import certifi

from maskrelay.errors import SettingsError

#: The variable that names a PEM file with authorities to trust in addition to the usual ones.
CA_FILE = "MASKRELAY_CA_FILE"
#: The variables that name the client certificate for Redis, and its private key if that is in a separate file.
REDIS_CERT_FILE, REDIS_CERT_KEY_FILE = "MASKRELAY_REDIS_CERT_FILE", "MASKRELAY_REDIS_CERT_KEY_FILE"
#: OpenSSL's own variables: a file and a folder of authorities that replace the system's.
_CERT_FILE, _CERT_DIR = "SSL_CERT_FILE", "SSL_CERT_DIR"
_PEM = b"-----BEGIN "
#: Temporary files that exist as long as the process, if there is no `memfd_create`.
_kept: list[IO[bytes]] = []


def client_context(cert_file: str | None = None, key_file: str | None = None, *, what: str = "") -> ssl.SSLContext:
    """Return the TLS settings of an outgoing connection, with a client certificate if `cert_file` names one.

    `key_file` may be omitted if `cert_file` contains the private key too. `what` names the certificate's setting in
    errors. Raises SettingsError for a file that cannot be used, and for an encrypted private key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Python 3.13 rejects certificates that lack an extension, as those of many private authorities do.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    given = [(name, os.environ[name]) for name in (_CERT_FILE, _CERT_DIR) if os.environ.get(name)]
    if not given:
        context.load_default_certs()
    for name, path in given or _systems():
        if given or name == "certifi":
            _trust(context, name, path)
    if own := ca_file():
        _trust(context, CA_FILE, own)
    if key_file and not cert_file:
        raise SettingsError(f"{what} needs a certificate for its private key")
    if cert_file:
        _identify(context, cert_file, key_file, what or "the client certificate")
    return context


def ca_file() -> str | None:
    """Return the file of `MASKRELAY_CA_FILE`, for libraries that trust it in addition to the system's authorities."""
    return os.environ.get(CA_FILE) or None


def redis_options() -> dict[str, str]:
    """Return the TLS options of redis-py and of kombu's Redis transport (`broker_use_ssl`) for `rediss://`.

    Both trust `ssl_ca_certs` in addition to the system's authorities. Options in the URL take precedence.
    """
    named = {"ssl_ca_certs": CA_FILE, "ssl_certfile": REDIS_CERT_FILE, "ssl_keyfile": REDIS_CERT_KEY_FILE}
    return {option: os.environ[name] for option, name in named.items() if os.environ.get(name)}


def ca_bundle(*variables: str) -> str:
    """Return the path of one PEM file with all trusted authorities, for libraries that need such a path.

    `variables` are the library's own names for such a file. If one is set, its file replaces the system's authorities,
    and `SSL_CERT_FILE` and `MASKRELAY_CA_FILE` are trusted in addition. The path is valid in this process and its
    forks, as long as they run. Raises SettingsError.
    """
    named = [(name, os.environ[name]) for name in (_CERT_FILE, _CERT_DIR, *variables) if os.environ.get(name)]
    named = named or _systems()
    if own := ca_file():
        named.append((CA_FILE, own))
    [(_, path), *more] = named
    return path if not more and Path(path).is_file() else _merged(tuple(named))


def _systems() -> list[tuple[str, str]]:
    """Return where the system's authorities are, or else certifi's, with a name for each."""
    system = ssl.get_default_verify_paths()
    if system.cafile:
        return [("the system's authorities", system.cafile)]
    if system.capath and any(Path(system.capath).iterdir()):
        return [("the system's authorities", system.capath)]
    return [("certifi", certifi.where())]


def _trust(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise SettingsError(f"{name} contains no certificates in PEM format", names=(name,)) from None
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}", names=(name,)) from None


def _identify(context: ssl.SSLContext, cert_file: str, key_file: str | None, what: str) -> None:
    """Load the client certificate. OpenSSL asks for a passphrase only if the private key is encrypted."""

    def passphrase() -> str:
        raise SettingsError(f"{what}: the private key is encrypted; use a key without a passphrase")

    try:
        context.load_cert_chain(cert_file, key_file, password=passphrase)
    except ssl.SSLError as error:
        fits = "the private key does not belong to the certificate"
        said = fits if error.reason == "KEY_VALUES_MISMATCH" else "not a certificate with its private key in PEM format"
        raise SettingsError(f"{what}: {said}") from None
    except OSError as error:
        raise SettingsError(f"{what} cannot be read: {error.strerror}") from None


@lru_cache
def _merged(named: tuple[tuple[str, str], ...]) -> str:
    """Return a file with the certificates of all these files and folders, in memory if the system supports that."""
    content = b"\n".join(text for name, path in named for text in _texts(name, Path(path)) if _PEM in text)
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("maskrelay-ca")
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return f"/proc/self/fd/{descriptor}"
    kept = tempfile.NamedTemporaryFile(prefix="maskrelay-ca-", suffix=".pem")  # noqa: SIM115 - kept open on purpose
    kept.write(content)
    kept.flush()
    _kept.append(kept)
    return kept.name


def _texts(name: str, path: Path) -> list[bytes]:
    try:
        inside = sorted({one.resolve() for one in path.iterdir()}) if path.is_dir() else [path]
        return [one.read_bytes() for one in inside if one.is_file() or one == path]
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}", names=(name,)) from None
