"""The encryption of callback secrets for storage.

A secret can be decrypted only with the server key, and only for its job.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from maskrelay.contract.records.job import CallbackTarget
from maskrelay.errors import SealInvalid

_NONCE_BYTES = 12


def seal(server_key: bytes, plaintext: str, context: str) -> str:
    """Encrypt `plaintext` with AES-256-GCM and return base64url.

    `context` is the job's id. It is needed again to decrypt the text.
    """
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(server_key).encrypt(nonce, plaintext.encode(), context.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal_with_any(server_keys: Sequence[bytes], sealed: str, context: str) -> str:
    """Decrypt with the first key that fits. Raises SealInvalid if none does."""
    for server_key in server_keys:
        with suppress(SealInvalid):
            return unseal(server_key, sealed, context)
    raise SealInvalid


def resealed(
    server_keys: Sequence[bytes], target: CallbackTarget | None, before: str, after: str
) -> CallbackTarget | None:
    """Return the target with its secret sealed for another context.

    A caller's secret is sealed for the context `before`, which is the id of a job or of a watch. It is sealed again for
    the job `after`, with the first key. Raises SealInvalid.
    """
    if target is None or target.sealed is None:
        return target
    secret = unseal_with_any(server_keys, target.sealed, before)
    return target.model_copy(update={"sealed": seal(server_keys[0], secret, after)})


def unseal(server_key: bytes, sealed: str, context: str) -> str:
    """Decrypt. Raises SealInvalid for another key, another context or a modified text."""
    try:
        raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
        nonce, body = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        return _cipher(server_key).decrypt(nonce, body, context.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError):
        raise SealInvalid from None


def _cipher(server_key: bytes) -> AESGCM:
    """Return a cipher with a key that is derived only for sealing.

    The server key itself is not used, because it has other uses too (ids and derived secrets).
    """
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"maskrelay callback seal").derive(server_key))
