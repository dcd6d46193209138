"""Sealing: round trips, and nothing that was changed, moved or belongs to another key opens."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.pii.box import Keyring, PiiKeyError, SealBrokenError, SubjectKey, lookup, new_key
from mainstem.pii.token import parse, tokens_in

KEY = SubjectKey(1, uuid4(), new_key())


@given(st.text(max_size=50), st.sampled_from(["email", "phone", "firstname"]))
def test_opens_what_it_sealed(value: str, field: str):
    token = KEY.seal(field, value)
    read = parse(str(token))
    assert read == token
    assert KEY.open(read) == value
    assert list(tokens_in(f'{{"a":["{token}"]}}')) == [token]


def test_equal_values_show_as_equal_for_one_subject_and_field_only():
    data_key, subject = new_key(), uuid4()
    one, other = SubjectKey(1, subject, data_key), SubjectKey(1, uuid4(), new_key())
    assert one.seal("email", "x").fingerprint == one.seal("email", "x").fingerprint
    assert one.seal("email", "x").box != one.seal("email", "x").box
    prints = {
        one.seal("email", "x").fingerprint,
        one.seal("phone", "x").fingerprint,
        one.seal("email", "y").fingerprint,
    }
    assert len({*prints, other.seal("email", "x").fingerprint}) == 4


def test_a_box_can_not_be_moved():
    data_key, subject = new_key(), uuid4()
    token = SubjectKey(1, subject, data_key).seal("email", '"a@b.cc"')
    with pytest.raises(SealBrokenError):
        SubjectKey(1, subject, data_key).open(token._replace(field="phone"))
    for tenant, owner in ((2, subject), (1, uuid4())):
        with pytest.raises(SealBrokenError):
            SubjectKey(tenant, owner, data_key).open(token)


@given(st.integers(0), st.integers(1, 63))
def test_a_changed_box_does_not_open(place: int, change: int):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = KEY.seal("email", '"anna@example.com"')
    # the last letter has bits that mean nothing
    at = place % (len(token.box) - 1)
    letter = letters[(letters.index(token.box[at]) + change) % len(letters)]
    with pytest.raises(SealBrokenError):
        KEY.open(token._replace(box=token.box[:at] + letter + token.box[at + 1 :]))


def test_a_key_is_wrapped_for_its_owner_and_by_its_ring():
    ring, key = Keyring(new_key()), new_key()
    wrapped = ring.wrap(key, "1|a")
    assert ring.unwrap(wrapped, "1|a") == key
    with pytest.raises(PiiKeyError, match="damaged"):
        ring.unwrap(wrapped, "1|b")
    with pytest.raises(PiiKeyError, match="PII_KEY_PREVIOUS"):
        Keyring(new_key()).unwrap(wrapped, "1|a")


def test_an_earlier_key_still_unwraps():
    old, new = new_key(), new_key()
    wrapped = Keyring(old).wrap(b"k" * 32, "x")
    ring = Keyring(new, old)
    assert ring.unwrap(wrapped, "x") == b"k" * 32
    assert ring.wrap(b"k" * 32, "x").key_id == Keyring(new).key_id != wrapped.key_id
    assert ring.open_file(Keyring(old).close_file(b"entry")) == b"entry"
    with pytest.raises(SealBrokenError):
        Keyring(new).open_file(Keyring(old).close_file(b"entry"))


def test_a_ring_takes_keys_of_32_bytes():
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring(b"short")


@given(st.tuples(st.text(max_size=9), st.text(max_size=9)), st.tuples(st.text(max_size=9), st.text(max_size=9)))
def test_lookups_are_injective(one: tuple[str, str], other: tuple[str, str]):
    kinds = ("email", "phone")
    pairs = {(kind, value) for kind in kinds for value in (*one, *other)}
    assert len({lookup(b"k", kind, value) for kind, value in pairs}) == len(pairs)


def test_subjects_of_tokens_are_ids():
    assert isinstance(KEY.seal("email", "x").subject, UUID)
    assert parse("ms1:no:email:x:y") is None
