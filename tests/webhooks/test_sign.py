"""Signatures of deliveries, judged by other people's code; secrets as owners give and get them."""

import base64
import random
import re
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from webhooks.verifiers import NodeVerifier, Received, python_accepts

from mainstem.platform.errors import InvalidFieldError
from mainstem.webhooks.sign import Secret, SecretKind, SignatureError, headers, message_id, verify

ID = "msg_0197f3c2a1b87c3e9d4f5a6b7c8d9e0f"
BODIES = (
    b"{}",
    b'{"type": "order.paid", "data": {"total": 12.50}}',
    '{"name": "Zoë Müller-Łuczak", "note": "日本語 🎉"}'.encode(),
    b'{"escaped": "\\ud83c\\udf89 \\u0000 \\ud800"}',
    '{"spaces":\t"\u2028\u2029 \u00a0"}\r\n'.encode(),
    b"[" + b'"x",' * 20_000 + b"0]",
)

SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: Secret(SecretKind.HMAC, key))
TEXTS = st.text(max_size=200).map(lambda text: text.encode(errors="replace"))


def now() -> int:
    return int(time.time())


def received(secret: Secret, *signing: Secret, body: bytes = BODIES[1], at: int | None = None) -> Received:
    """Return a delivery, signed by some secrets (or the receiver's own), for a receiver who knows one."""
    return Received(secret.shown, headers(signing or (secret,), ID, now() if at is None else at, body), body)


def changed(one: Received, **headers_: str) -> Received:
    return one._replace(headers={**one.headers, **{f"webhook-{name}": value for name, value in headers_.items()}})


# golden bytes


def test_the_signature_that_the_specification_s_libraries_have_in_their_tests():
    secret = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_golden_bytes_of_a_rotation_and_of_both_kinds():
    old, new = Secret(SecretKind.HMAC, bytes(range(24))), Secret(SecretKind.HMAC, bytes(range(64)))
    # the first key pair of RFC 8032, 7.1
    pair = Secret(SecretKind.ED25519, bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    body = '{"name":"Zoë"}'.encode()
    assert headers([new, old], ID, 1_700_000_000, body)["webhook-signature"] == (
        "v1,U+c+IJAnNHglmj5JTEpvxaH/LnZTR0rDy7/BvnOvs8k= v1,xmyp3kzRrNb87klCopKy9CAzHEijwaAKMswepbUJEhw="
    )
    assert headers([pair], ID, 1_700_000_000, body)["webhook-signature"] == (
        "v1a,u6NfYrKBjBPMvxgrfpl43sBhe7OsOIxegGb3RI6aL3W7/WFXoe2Z5F051j6J2EuQ5O3K5USjZQUK71OIMrCVCw=="
    )
    assert pair.public_key == pair.shown
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert pair.shown == "whpk_" + base64.b64encode(public).decode()


# judged by the PyPI package


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body[:30]))
def test_a_receiver_takes_what_we_sign(body):
    secret = Secret.new(SecretKind.HMAC)
    assert python_accepts(received(secret, body=body))


@given(SECRETS, TEXTS)
def test_a_receiver_takes_any_body_under_any_secret(secret, body):
    assert python_accepts(received(secret, body=body))


@given(SECRETS, SECRETS, SECRETS, TEXTS)
def test_in_a_rotation_a_receiver_may_know_the_old_secret_or_the_new_one(old, new, other, body):
    assert python_accepts(received(old, new, old, body=body))
    assert python_accepts(received(new, new, old, body=body))
    if other not in {old, new}:
        assert not python_accepts(received(other, new, old, body=body))


@given(st.data())
def test_a_change_of_any_byte_is_noticed(data):
    secret = data.draw(SECRETS)
    genuine = received(secret, body=data.draw(TEXTS.filter(bool)))
    part = data.draw(st.sampled_from(["body", "id", "timestamp", "signature"]))
    flip = data.draw(st.integers(1, 255))

    def tampered(octets: bytes) -> bytes:
        place = data.draw(st.integers(0, len(octets) - 1))
        return octets[:place] + bytes([octets[place] ^ flip]) + octets[place + 1 :]

    match part:
        case "body":
            forged = genuine._replace(body=tampered(genuine.body))
        case "id":
            forged = changed(genuine, id=tampered(ID.encode()).decode("latin-1"))
        case "timestamp":
            shift = data.draw(st.integers(-290, 290).filter(bool))
            forged = changed(genuine, timestamp=str(int(genuine.headers["webhook-timestamp"]) + shift))
        case _:
            digest = tampered(base64.b64decode(genuine.headers["webhook-signature"].removeprefix("v1,")))
            forged = changed(genuine, signature="v1," + base64.b64encode(digest).decode())
    assert python_accepts(genuine)
    assert not python_accepts(forged)


@given(SECRETS, TEXTS, st.integers(1, 30))
def test_a_cut_or_lengthened_body_is_noticed(secret, body, count):
    genuine = received(secret, body=body)
    assert not python_accepts(genuine._replace(body=body + b" " * count))
    if body:
        assert not python_accepts(genuine._replace(body=body[:-count]))


@pytest.mark.parametrize(("age", "taken"), [(0, True), (290, True), (-290, True), (310, False), (-310, False)])
def test_a_signature_ends_after_five_minutes(age, taken):
    assert python_accepts(received(Secret.new(SecretKind.HMAC), at=now() - age)) is taken


def test_parts_can_not_be_moved_between_id_and_body():
    # the dot separates: an id never holds one
    secret = Secret.new(SecretKind.HMAC)
    at = now()
    genuine = Received(secret.shown, headers([secret], ID, at, b"{}"), b"{}")
    assert not python_accepts(changed(genuine._replace(body=b""), id=f"{ID}.{at}"))


def test_a_secret_takes_what_it_signed_and_nothing_else():
    secrets = [Secret.new(SecretKind.HMAC) for _ in range(5)]
    taken = [[python_accepts(received(knows, signs)) for knows in secrets] for signs in secrets]
    assert taken == [[row == column for column in range(5)] for row in range(5)]


# judged by the npm package


def test_node_agrees(node_verifier: NodeVerifier):
    dice = random.Random(2432232314)
    secret, old, other = (Secret(SecretKind.HMAC, dice.randbytes(size)) for size in (24, 32, 64))
    cases: list[tuple[Received, str]] = []
    for body in BODIES:
        genuine = received(secret, body=body)
        cases += [
            (genuine, "ok"),
            (received(old, secret, old, body=body), "ok"),
            (received(secret, secret, old, body=body), "ok"),
            (received(other, secret, old, body=body), "No matching signature found"),
            (received(secret, body=body, at=now() - 290), "ok"),
            (received(secret, body=body, at=now() - 310), "Message timestamp too old"),
            (received(secret, body=body, at=now() + 310), "Message timestamp too new"),
            (changed(genuine, id=ID[:-1] + "x"), "No matching signature found"),
            (changed(genuine, signature=""), "Missing required headers"),
        ]
        for _ in range(20):
            place = dice.randrange(len(body))
            # a letter for another, so that the body stays UTF-8: invalid bytes are all one character to Node
            if chr(body[place]).isalnum() and body[place] < 0x80:
                forged = body[:place] + (b"a" if body[place] != ord("a") else b"b") + body[place + 1 :]
                cases.append((genuine._replace(body=forged), "No matching signature found"))
    reasons = node_verifier.reasons(one for one, _ in cases)
    assert reasons == [reason for _, reason in cases]
    assert [python_accepts(one) for one, _ in cases] == [reason == "ok" for reason in reasons]


# Ed25519, with `cryptography` as the other party


def _public(secret: Secret) -> Ed25519PublicKey:
    assert secret.public_key is not None
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.public_key.removeprefix("whpk_"), validate=True))


@given(st.binary(min_size=32, max_size=32), TEXTS, st.integers(0, 2**33), st.integers(0))
def test_ed25519_verifies_with_the_public_key_alone(seed, body, at, place):
    secret = Secret(SecretKind.ED25519, seed)
    version, _, signature = headers([secret], ID, at, body)["webhook-signature"].partition(",")
    assert version == "v1a"
    signed = ID.encode() + b"." + str(at).encode() + b"." + body
    _public(secret).verify(base64.b64decode(signature, validate=True), signed)
    forged = bytearray(signed)
    forged[place % len(forged)] ^= 1
    with pytest.raises(InvalidSignature):
        _public(secret).verify(base64.b64decode(signature), bytes(forged))


def test_ed25519_shows_nothing_that_signs():
    secret = Secret.new(SecretKind.ED25519)
    assert secret.shown.startswith("whpk_")
    assert base64.b64encode(secret.key).decode() not in secret.shown
    other = Secret(SecretKind.ED25519, base64.b64decode(secret.shown.removeprefix("whpk_")))
    assert other.public_key != secret.public_key


def test_a_receiver_who_knows_one_kind_skips_the_entries_of_the_other(node_verifier: NodeVerifier):
    shared, pair = Secret.new(SecretKind.HMAC), Secret.new(SecretKind.ED25519)
    both = [received(shared, pair, shared), received(shared, shared, pair)]
    assert [python_accepts(one) for one in both] == [True, True]
    assert node_verifier.accepts(both) == [True, True]
    assert not python_accepts(received(shared, pair))


# our own receiver


def verifies(one: Received, *secrets: Secret, at: float | None = None) -> bool:
    try:
        return verify(secrets, one.headers, one.body, time.time() if at is None else at) == one.headers["webhook-id"]
    except SignatureError:
        return False


@given(SECRETS, SECRETS, TEXTS)
def test_we_take_what_other_people_s_code_signs(secret, other, body):
    at = datetime.now(UTC)
    signature = Webhook(secret.shown).sign(ID, at, body.decode())
    signed = {"webhook-id": ID, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    one = Received(secret.shown, signed, body)
    assert verifies(one, secret)
    assert verifies(one, other, secret)
    assert not verifies(one._replace(body=body + b" "), secret)
    if other != secret:
        assert not verifies(one, other)


@pytest.mark.parametrize("kind", SecretKind)
def test_we_take_what_we_sign_for_five_minutes(kind):
    secret, other = Secret.new(kind), Secret.new(kind)
    one = received(secret, other, secret, at=1_700_000_000)
    assert verifies(one, secret, at=1_700_000_300)
    assert verifies(one, secret, at=1_699_999_700)
    assert not verifies(one, secret, at=1_700_000_301)
    assert not verifies(one, secret, at=1_699_999_699)
    assert not verifies(one, at=1_700_000_000)
    assert not verifies(changed(one, id=ID[:-1] + "x"), secret, at=1_700_000_000)
    assert not verifies(changed(one, timestamp="1700000001"), secret, at=1_700_000_000)


# as servers read them: octets, each a character, or UTF-8 with half surrogates for what is none
_OCTETS = st.binary(max_size=40)
_VALUES = st.one_of(
    _OCTETS.map(lambda octets: octets.decode("latin-1")),
    _OCTETS.map(lambda octets: octets.decode(errors="surrogateescape")),
    st.just(str(1_700_000_000)),
)


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), _VALUES), TEXTS)
def test_whatever_comes_is_genuine_or_not(given_, body):
    with pytest.raises(SignatureError):
        verify([Secret.new(kind) for kind in SecretKind], given_, body, 1_700_000_000)


# secrets and ids


@given(st.binary(max_size=100))
@example(bytes(23))
@example(bytes(24))
@example(bytes(64))
@example(bytes(65))
def test_secrets_of_owners_have_24_to_64_bytes(key):
    text = base64.b64encode(key).decode()
    for given_ in (text, "whsec_" + text):
        if 24 <= len(key) <= 64:
            secret = Secret.parse(given_)
            assert (secret.kind, secret.key, secret.shown) == (SecretKind.HMAC, key, "whsec_" + text)
        else:
            with pytest.raises(InvalidFieldError, match="24 to 64") as caught:
                Secret.parse(given_, field="signing_secret")
            assert caught.value.field == "signing_secret"


_GOOD = base64.b64encode(bytes(range(200, 232))).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsk_" + _GOOD,
        "whpk_" + _GOOD,
        "WHSEC_" + _GOOD,
        "whsec_whsec_" + _GOOD,
        _GOOD.rstrip("="),
        _GOOD + "=",
        _GOOD + "AAAA",
        _GOOD + "\n",
        " " + _GOOD,
        _GOOD[:20] + "\n" + _GOOD[20:],
        _GOOD.replace("+", "-").replace("/", "_"),
        "correct horse battery staple and more words",
        "ü" * 32,
        "\ud800" * 32,
        "\0" * 32,
    ],
)
def test_what_is_no_secret_is_refused(text):
    with pytest.raises(InvalidFieldError):
        Secret.parse(text)


@given(st.text())
def test_whatever_is_given_is_a_secret_or_refused(text):
    try:
        secret = Secret.parse(text)
    except InvalidFieldError:
        return
    assert 24 <= len(secret.key) <= 64


def test_new_secrets_are_random_and_long_enough():
    made = [Secret.new(kind) for kind in SecretKind for _ in range(50)]
    assert {len(secret.key) for secret in made} == {32}
    assert len({secret.key for secret in made}) == 100
    assert [Secret.parse(secret.shown) for secret in made if secret.kind is SecretKind.HMAC] == made[:50]


@pytest.mark.parametrize("kind", SecretKind)
def test_a_secret_in_a_log_tells_nothing(kind):
    secret = Secret.new(kind)
    assert repr(secret) == f"Secret(kind=<SecretKind.{kind.name}: '{kind}'>)"


@given(st.uuids(), st.uuids())
def test_ids_are_one_to_one_with_events_and_have_no_dot(one, other):
    assert re.fullmatch(r"msg_[0-9a-f]{32}", message_id(one))
    assert (message_id(one) == message_id(other)) == (one == other)
    assert UUID(message_id(one).removeprefix("msg_")) == one
