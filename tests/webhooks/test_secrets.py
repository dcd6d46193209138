"""What endpoints keep secret, at rest."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.pii.box import Keyring, PiiKeyError, Wrapped, new_key
from mainstem.webhooks.secrets import open_headers, open_secret, seal_headers, seal_secret
from mainstem.webhooks.sign import Secret, SecretKind

OLD_KEY, KEY = new_key(), new_key()
RING = Keyring(KEY)
ONE, OTHER = UUID(int=1), UUID(int=2)
HEADERS = {"Authorization": "Bearer s3cr3t", "X-Own": "ü"}


@pytest.mark.parametrize("kind", SecretKind)
def test_a_secret_comes_back_as_it_was(kind):
    secret = Secret.new(kind)
    wrapped = seal_secret(RING, ONE, secret)
    assert secret.key not in wrapped.box
    assert open_secret(RING, ONE, str(kind), wrapped) == secret


@given(st.dictionaries(st.text(), st.text(), min_size=1), st.uuids())
def test_headers_come_back_as_they_were(headers, uid):
    sealed = seal_headers(RING, uid, headers)
    assert sealed is not None
    assert open_headers(RING, uid, sealed) == headers


def test_no_headers_are_nothing():
    assert seal_headers(RING, ONE, {}) is None
    assert open_headers(RING, ONE, None) == {}


def test_what_is_sealed_shows_nothing():
    sealed = seal_headers(RING, ONE, HEADERS)
    assert sealed is not None
    assert not any(word in sealed for word in (b"Authorization", b"s3cr3t", b"X-Own"))
    assert sealed != seal_headers(RING, ONE, HEADERS)


def test_a_box_is_bound_to_its_endpoint_and_to_what_it_is():
    secret, headers = seal_secret(RING, ONE, Secret.new(SecretKind.HMAC)), seal_headers(RING, ONE, HEADERS)
    with pytest.raises(PiiKeyError):
        open_secret(RING, OTHER, "hmac", secret)
    with pytest.raises(PiiKeyError):
        open_headers(RING, OTHER, headers)
    # headers are no secret, and the other way round
    with pytest.raises(PiiKeyError):
        open_headers(RING, ONE, secret.key_id.encode() + secret.box)
    assert headers is not None
    with pytest.raises(PiiKeyError):
        open_secret(RING, ONE, "hmac", Wrapped(headers[:12].decode(), headers[12:]))


def test_another_key_of_the_installation_opens_nothing_and_a_previous_one_does():
    sealed_before = Keyring(OLD_KEY)
    secret = Secret.new(SecretKind.HMAC)
    wrapped, headers = seal_secret(sealed_before, ONE, secret), seal_headers(sealed_before, ONE, HEADERS)
    changed = Keyring(KEY, OLD_KEY)
    assert open_secret(changed, ONE, "hmac", wrapped) == secret
    assert open_headers(changed, ONE, headers) == HEADERS
    with pytest.raises(PiiKeyError):
        open_secret(RING, ONE, "hmac", wrapped)
    with pytest.raises(PiiKeyError):
        open_headers(RING, ONE, headers)


@given(st.integers(0), st.integers(1, 255))
def test_a_damaged_box_opens_to_nothing(place, flip):
    uid = uuid4()
    wrapped = seal_secret(RING, uid, Secret.new(SecretKind.HMAC))
    box = bytearray(wrapped.box)
    box[place % len(box)] ^= flip
    with pytest.raises(PiiKeyError):
        open_secret(RING, uid, "hmac", Wrapped(wrapped.key_id, bytes(box)))


@given(st.binary(max_size=60))
def test_whatever_stands_there_for_headers_is_opened_or_a_fault_of_the_key(sealed):
    for damaged in (sealed, RING.key_id.encode() + sealed):
        with pytest.raises(PiiKeyError):
            open_headers(RING, ONE, damaged)
    with pytest.raises(PiiKeyError):
        open_secret(RING, ONE, "hmac", Wrapped(RING.key_id, sealed))
