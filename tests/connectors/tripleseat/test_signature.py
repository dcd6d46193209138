"""`X-Signature`: what holds, what does not and why, and that an independent verifier says the same."""

import hmac
import time
from hashlib import sha256

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from mainstem.connectors.tripleseat.signature import (
    LONGEST_HEADER,
    MOST_PARTS,
    TOLERANCE_S,
    Fault,
    Form,
    Verdict,
    sign,
    verify,
)

KEY = "whk_7d1f"
BODY = b'{"webhook_trigger_type":"UPDATE_EVENT","event":{"id":55521609}}'
NOW = 1_790_000_000
V1 = sign(KEY, BODY, NOW).partition("v1=")[2]
BARE = hmac.new(KEY.encode(), BODY, sha256).hexdigest()


def test_what_a_sender_signs_holds():
    assert verify(sign(KEY, BODY, NOW), BODY, KEY, NOW) == Verdict(None, Form.TIMED, NOW)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (None, "MISSING_SIGNATURE_HEADER"),
        ("", "MISSING_SIGNATURE_HEADER"),
        ("  ", "MISSING_SIGNATURE_HEADER"),
        ("nonsense", "MALFORMED_SIGNATURE_HEADER"),
        (BARE, "MALFORMED_SIGNATURE_HEADER"),
        (f"v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={NOW}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={NOW},v1=", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={NOW},v0={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t=,v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t=soon,v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t=-5,v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t=١٢٣,v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={'9' * 13},v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={NOW},t={NOW},v1={V1}", "MALFORMED_SIGNATURE_HEADER"),
        (f"t={NOW},v1=deadbeef", "MISMATCH"),
        (f"t={NOW},v1={'0' * 64}", "MISMATCH"),
        (f"t={NOW},v1={'ü' * 64}", "MISMATCH"),
        (f"t=0{NOW},v1={V1}", "MISMATCH"),
        (f"t={NOW + 1},v1={V1}", "MISMATCH"),
    ],
)
def test_what_does_not_hold_says_why(header, fault):
    found = verify(header, BODY, KEY, NOW)
    assert not found.holds
    assert found.fault == fault
    assert found.fault.reason == f"SIGNATURE_VERIFICATION_FAILED_{fault}"


@pytest.mark.parametrize("key", [None, ""])
@pytest.mark.parametrize("header", [None, sign(KEY, BODY, NOW), sign("", BODY, NOW)])
def test_defect_2_3_a_without_a_key_nothing_holds(key, header):
    assert verify(header, BODY, key, NOW).fault is Fault.SIGNING_KEY_NOT_CONFIGURED


def test_defect_2_3_a_a_missing_header_is_never_passed_over():
    assert verify(None, BODY, KEY, NOW, allow_bare=True).fault is Fault.MISSING_SIGNATURE_HEADER


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        (NOW + TOLERANCE_S, None),
        (NOW + TOLERANCE_S + 0.001, Fault.TOO_OLD),
        (NOW - TOLERANCE_S, None),
        (NOW - TOLERANCE_S - 0.001, Fault.TOO_NEW),
        (NOW + 86_400, Fault.TOO_OLD),
    ],
)
def test_defect_2_3_b_the_time_is_checked_both_ways(now, fault):
    assert verify(sign(KEY, BODY, NOW), BODY, KEY, now).fault is fault


def test_defect_5_4_e_another_digest_has_a_reason_of_its_own():
    assert verify(sign("another", BODY, NOW), BODY, KEY, NOW).fault.reason == "SIGNATURE_VERIFICATION_FAILED_MISMATCH"


def test_who_does_not_hold_the_key_learns_nothing_of_times():
    assert verify(sign("another", BODY, NOW - 9_999), BODY, KEY, NOW).fault is Fault.MISMATCH


def test_while_a_key_is_changed_one_signature_of_several_is_enough():
    header = f"{sign('old key', BODY, NOW)},v1={V1},v0=x,v2=y"
    assert verify(header, BODY, KEY, NOW).holds
    assert verify(header.upper().replace("T=", "t=").replace("V1=", "v1="), BODY, KEY, NOW).holds
    assert verify(header.replace(",", " , "), BODY, KEY, NOW).holds


def test_a_header_has_bounds():
    at_most = f"t={NOW},v1={V1}" + ",v0=x" * (MOST_PARTS - 2)
    assert verify(at_most, BODY, KEY, NOW).holds
    assert verify(at_most + ",v0=x", BODY, KEY, NOW).fault is Fault.MALFORMED_SIGNATURE_HEADER
    padded = f"t={NOW},v1={V1},v0="
    padded += "x" * (LONGEST_HEADER - len(padded))
    assert verify(padded, BODY, KEY, NOW).holds
    assert verify(padded + "x", BODY, KEY, NOW).fault is Fault.MALFORMED_SIGNATURE_HEADER


def test_bare_hex_is_taken_by_setting_only():
    assert verify(BARE, BODY, KEY, NOW, allow_bare=True) == Verdict(None, Form.BARE)
    assert verify(BARE.upper(), BODY, KEY, NOW, allow_bare=True).holds
    assert verify(BARE, BODY + b" ", KEY, NOW, allow_bare=True).fault is Fault.MISMATCH
    assert verify(sign(KEY, BODY, NOW), BODY, KEY, NOW, allow_bare=True) == Verdict(None, Form.TIMED, NOW)
    assert verify(sign(KEY, BODY, NOW - 999), BODY, KEY, NOW, allow_bare=True).fault is Fault.TOO_OLD


@given(st.text(), st.binary(max_size=200), st.text(min_size=1).filter(lambda key: key.isprintable()), st.booleans())
def test_it_is_total(header, body, key, allow_bare):
    verify(header, body, key, NOW, allow_bare=allow_bare)


@given(st.binary(max_size=300), st.integers(0, 10**12 - 1), st.integers(-TOLERANCE_S, TOLERANCE_S))
def test_a_signature_holds_for_its_body_and_for_no_other(body, at, off):
    header = sign(KEY, body, at)
    assert verify(header, body, KEY, at + off).holds
    assert not verify(header, body + b"x", KEY, at + off).holds
    assert not verify(header, body, KEY + "x", at + off).holds


@given(st.text(), st.sampled_from([KEY, "another"]), st.sampled_from([0, 299, 301, 100_000]), st.booleans())
def test_the_verifier_of_stripe_says_the_same(text, key, age, spoilt):
    # its clock is the system's, and it looks at the age in one direction only
    now = int(time.time())
    body = text.encode(errors="replace")
    header = sign(key, body, now - age) + (",v1=00" if spoilt else "")
    try:
        stripe.WebhookSignature.verify_header(body.decode(), header, KEY, tolerance=TOLERANCE_S)
    except stripe.SignatureVerificationError:
        theirs = False
    else:
        theirs = True
    assert verify(header, body, KEY, now).holds is theirs


def test_what_stripe_signs_holds():
    digest = stripe.WebhookSignature._compute_signature(f"{NOW}.{BODY.decode()}", KEY)
    assert verify(f"t={NOW},v1={digest}", BODY, KEY, NOW).holds
