"""Signatures of callbacks according to Standard Webhooks 1.0.0.

A secret is `whsec_` followed by the base64 of 24 to 64 bytes. The signed content is `id.timestamp.body`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta

from maskrelay.errors import OptionInvalid, SignatureInvalid

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
_PREFIX = "whsec_"
_VERSION = "v1,"
#: The most digits of a timestamp.
_TIMESTAMP_LENGTH = 18


def derive_secret(server_key: bytes, job_id: str) -> str:
    """Return the secret for a job whose caller gave no secret.

    It can be derived again at any time, so it is not stored.
    """
    digest = hmac.digest(server_key, b"callback secret\n" + job_id.encode(), hashlib.sha256)
    return _PREFIX + base64.b64encode(digest).decode()


def check_secret(secret: str) -> None:
    """Raise OptionInvalid unless `secret` is `whsec_` followed by the base64 of 24 to 64 bytes."""
    _key(secret)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise OptionInvalid("a callback secret must be 'whsec_' followed by the base64 of 24 to 64 bytes")
    return key


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one attempt.

    `timestamp` is the time of the attempt in unix seconds. The header `webhook-timestamp` contains the same number.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return _VERSION + base64.b64encode(digest).decode()


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    now: int,
    tolerance: timedelta = timedelta(minutes=5),
) -> None:
    """Raise SignatureInvalid unless one of the signatures in `headers` was made with `secret` for `body`.

    The names in `headers` may be in any case. `now` is in unix seconds. If the timestamp differs from `now` by more
    than `tolerance`, the callback is refused too, because it may be a replay.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, sent = given[ID_HEADER], given[TIMESTAMP_HEADER]
        signatures = given[SIGNATURE_HEADER].split(" ")
    except KeyError:
        raise SignatureInvalid("a header that the signature needs is missing") from None
    is_number = sent.isascii() and sent.isdigit() and len(sent) <= _TIMESTAMP_LENGTH
    if not is_number or abs(now - int(sent)) > tolerance.total_seconds():
        raise SignatureInvalid("the callback's timestamp differs too much from the current time")
    expected = sign(secret, event_id, int(sent), body).encode()
    matches = [hmac.compare_digest(expected, signature.encode(errors="replace")) for signature in signatures]
    if not any(matches):
        raise SignatureInvalid
