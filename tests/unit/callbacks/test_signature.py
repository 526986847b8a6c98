import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from maskrelay.callbacks.signature import (
    check_secret,
    derive_secret,
    sign,
    verify,
)
from maskrelay.errors import OptionInvalid, SignatureInvalid

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_700_000_000
secrets = st.binary(min_size=24, max_size=64).map(lambda raw: "whsec_" + base64.b64encode(raw).decode())
ids = st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True)


def headers(signature, event_id="evt_1", timestamp=NOW):
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_specifications_own_example_has_its_published_signature():
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(secrets, ids, st.dictionaries(st.text(), st.text()))
def test_an_independent_verifier_takes_every_signature(secret, event_id, content):
    now = int(datetime.now(UTC).timestamp())
    body = json.dumps(content).encode()
    assert Webhook(secret).verify(body, headers(sign(secret, event_id, now, body), event_id, now)) == content


@given(secrets, ids, st.binary(), st.integers(0, 2**40))
def test_what_was_signed_is_verified(secret, event_id, body, now):
    verify(secret, headers(sign(secret, event_id, now, body), event_id, now), body, now)


@given(secrets, secrets, ids, ids, st.binary(), st.binary())
def test_a_signature_fits_one_secret_one_id_and_one_body(secret, other, event_id, other_id, body, other_body):
    signature = sign(secret, event_id, NOW, body)
    for used, named, sent in ((other, event_id, body), (secret, other_id, body), (secret, event_id, other_body)):
        if (used, named, sent) != (secret, event_id, body):
            with pytest.raises(SignatureInvalid):
                verify(used, headers(signature, named), sent, NOW)


@pytest.mark.parametrize("shift", [-301, 301])
def test_an_old_or_early_timestamp_is_refused(shift):
    with pytest.raises(SignatureInvalid, match="timestamp"):
        verify(SECRET, headers(sign(SECRET, "evt_1", NOW, b"")), b"", NOW + shift)


@pytest.mark.parametrize("shift", [-300, 300])
def test_a_clock_somewhat_off_is_tolerated(shift):
    verify(SECRET, headers(sign(SECRET, "evt_1", NOW, b"")), b"", NOW + shift)
    with pytest.raises(SignatureInvalid):
        verify(SECRET, headers(sign(SECRET, "evt_1", NOW, b"")), b"", NOW + shift, timedelta(minutes=1))


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", "-1", "1e9", "1700000000.0", "²", "9" * 5000, " 1700000000", "0" * 8 + str(NOW) + "9" * 5000],
)
def test_a_timestamp_that_is_no_number_is_refused(timestamp):
    with pytest.raises(SignatureInvalid):
        verify(SECRET, headers(sign(SECRET, "evt_1", NOW, b""), timestamp=timestamp), b"", NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(missing):
    given_headers = headers(sign(SECRET, "evt_1", NOW, b""))
    del given_headers[missing]
    with pytest.raises(SignatureInvalid, match="missing"):
        verify(SECRET, given_headers, b"", NOW)


def test_during_a_rotation_either_secret_verifies():
    new = derive_secret(b"server key", "job")
    signature = f"{sign(SECRET, 'evt_1', NOW, b'x')} {sign(new, 'evt_1', NOW, b'x')}"
    for secret in (SECRET, new):
        verify(secret, headers(signature), b"x", NOW)
    with pytest.raises(SignatureInvalid):
        verify(derive_secret(b"server key", "other"), headers(signature), b"x", NOW)


def test_header_names_are_read_in_any_case():
    given_headers = {name.title(): value for name, value in headers(sign(SECRET, "evt_1", NOW, b"")).items()}
    verify(SECRET, given_headers, b"", NOW)
    with pytest.raises(SignatureInvalid):
        verify(SECRET, given_headers, b"other", NOW)


@pytest.mark.parametrize("signature", ["", "v1,", "v1a,AAAA", "v2,AAAA", "  ", "v1,é", "v1,\udcff", "AAAA"])
def test_anything_but_the_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        verify(SECRET, headers(signature), b"", NOW)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_of_24_to_64_bytes_is_taken(size):
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    check_secret(secret)
    assert sign(secret, "evt_1", NOW, b"").startswith("v1,")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64 at all, but long enough",
        "whsec_" + base64.b64encode(bytes(32)).decode() + "\n",
        "whsec_é" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_any_other_secret_is_an_invalid_option_and_is_not_repeated(secret):
    with pytest.raises(OptionInvalid) as caught:
        check_secret(secret)
    assert len(secret) < 7 or secret not in str(caught.value)


def test_a_derived_secret_is_stable_and_differs_by_job_and_key():
    known = {derive_secret(key, job) for key in (b"key one", b"key two") for job in ("a", "b")}
    assert len(known) == 4
    assert derive_secret(b"key one", "a") in known
    for secret in known:
        check_secret(secret)


def test_an_independent_verifier_refuses_a_changed_body():
    now = int(datetime.now(UTC).timestamp())
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers(sign(SECRET, "evt_1", now, b"[]"), timestamp=now))
