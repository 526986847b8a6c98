"""TLS of outgoing connections: the trusted certificate authorities, which may be private, and client certificates.

The authorities that `SSL_CERT_FILE` or `SSL_CERT_DIR` names are trusted. If neither variable is set, the authorities of
the system are trusted, or those of certifi if the system has none. The authorities in the file that `MASKRELAY_CA_FILE`
names are always trusted in addition.
"""

import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import IO

import certifi

from maskrelay.errors import SettingsError

#: The variable that names a PEM file with further authorities to trust.
CA_FILE = "MASKRELAY_CA_FILE"
#: The variables that name the file with the client certificate for Redis, and the file with its private key. Both may
#: name the same file.
REDIS_CERT_FILE, REDIS_CERT_KEY_FILE = "MASKRELAY_REDIS_CERT_FILE", "MASKRELAY_REDIS_CERT_KEY_FILE"
#: The variables of OpenSSL that name a file and a folder with authorities, which replace those of the system.
_CERT_FILE, _CERT_DIR = "SSL_CERT_FILE", "SSL_CERT_DIR"
_PEM = b"-----BEGIN "
#: Temporary files that are kept open until the process ends. They are used on systems without `memfd_create`.
_kept: list[IO[bytes]] = []


def client_context(cert_file: str | None = None, key_file: str | None = None, *, what: str = "") -> ssl.SSLContext:
    """Return the TLS settings of an outgoing connection.

    `cert_file` names the file with the client certificate, or is None. `key_file` may be omitted if `cert_file`
    contains the private key too. `what` is the name of the setting, for error messages. Raises SettingsError if a file
    cannot be used, or if the private key is encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Since version 3.13, Python rejects certificates without certain extensions. The certificates of many private
    # authorities lack these extensions.
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
    """Return the path of the file that `MASKRELAY_CA_FILE` names, or None if the variable is not set.

    Use this for libraries that trust a file in addition to the authorities of the system.
    """
    return os.environ.get(CA_FILE) or None


def redis_options() -> dict[str, str]:
    """Return the TLS options for a `rediss://` URL, for redis-py and for kombu's Redis transport (`broker_use_ssl`).

    Both libraries trust `ssl_ca_certs` in addition to the authorities of the system. Options in the URL take
    precedence.
    """
    named = {"ssl_ca_certs": CA_FILE, "ssl_certfile": REDIS_CERT_FILE, "ssl_keyfile": REDIS_CERT_KEY_FILE}
    return {option: os.environ[name] for option, name in named.items() if os.environ.get(name)}


def ca_bundle(*variables: str) -> str:
    """Return the path of one PEM file with all trusted authorities, for libraries that need such a path.

    `variables` are the environment variables in which the library itself looks for such a path. If one of them is set,
    the file that it names replaces the authorities of the system. `SSL_CERT_FILE` and `MASKRELAY_CA_FILE` are trusted
    in addition. The path is valid in this process, and in processes that are forked from it. Raises SettingsError if a
    file cannot be used.
    """
    named = [(name, os.environ[name]) for name in (_CERT_FILE, _CERT_DIR, *variables) if os.environ.get(name)]
    named = named or _systems()
    if own := ca_file():
        named.append((CA_FILE, own))
    [(_, path), *more] = named
    return path if not more and Path(path).is_file() else _merged(tuple(named))


def _systems() -> list[tuple[str, str]]:
    """Return the location of the authorities of the system, preceded by a name for it in error messages.

    If the system has no authorities, return the location of those of certifi.
    """
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
    """Load the client certificate. Raises SettingsError if OpenSSL needs a passphrase for the private key."""

    def passphrase() -> str:
        raise SettingsError(f"{what}: the private key is encrypted; use a key without a passphrase")

    try:
        context.load_cert_chain(cert_file, key_file, password=passphrase)
    except ssl.SSLError as error:
        fits = "the private key does not belong to the certificate"
        other = "the file does not contain a certificate with its private key in PEM format"
        said = fits if error.reason == "KEY_VALUES_MISMATCH" else other
        raise SettingsError(f"{what}: {said}") from None
    except OSError as error:
        raise SettingsError(f"{what} cannot be read: {error.strerror}") from None


@lru_cache
def _merged(named: tuple[tuple[str, str], ...]) -> str:
    """Return the path of a new file that contains the certificates of all these files and folders.

    The new file is in memory if the system supports that.
    """
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
        inside = sorted({entry.resolve() for entry in path.iterdir()}) if path.is_dir() else [path]
        return [file.read_bytes() for file in inside if file.is_file() or file == path]
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}", names=(name,)) from None
