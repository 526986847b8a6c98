import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.callbacks.sealing import seal, unseal
from maskrelay.errors import SealInvalid

KEY = b"k" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@given(st.binary(min_size=1), st.text(), st.text())
def test_what_is_sealed_opens_again(key, plaintext, context):
    assert unseal(key, seal(key, plaintext, context), context) == plaintext


def test_the_sealed_text_shows_nothing_and_differs_each_time():
    first, second = seal(KEY, SECRET, "job"), seal(KEY, SECRET, "job")
    assert first != second
    assert SECRET[6:].encode() not in base64.urlsafe_b64decode(first)


@pytest.mark.parametrize(("key", "context"), [(b"K" * 32, "job"), (KEY, "other job")])
def test_another_key_or_another_job_does_not_open_it(key, context):
    with pytest.raises(SealInvalid):
        unseal(key, seal(KEY, SECRET, "job"), context)


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    raw = bytearray(base64.urlsafe_b64decode(seal(KEY, SECRET, "job")))
    raw[at % len(raw)] ^= change
    with pytest.raises(SealInvalid):
        unseal(KEY, base64.urlsafe_b64encode(raw).decode(), "job")


@given(st.text())
def test_a_text_that_was_never_sealed_is_refused(text):
    with pytest.raises(SealInvalid):
        unseal(KEY, text, "job")
