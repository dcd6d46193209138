"""Our tokens under forgery, and Better Auth's by key set and by shared secret."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform import tokens
from mainstem.platform.clock import utc_now
from mainstem.platform.settings import Settings

KEY = bytes(range(32))
USER = UUID("0198c0de-0000-7000-8000-000000000001")
SESSION = UUID("0198c0de-0000-7000-8000-000000000002")
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = "better-auth-shared-secret-0123456789"


def ours(**changes: Any) -> str:
    return tokens.issue(
        KEY,
        session_id=SESSION,
        user_id=USER,
        tenant_id=7,
        tenant="harbour",
        role="owner",
        lifetime=timedelta(hours=1),
        **changes,
    )


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": "mainstem",
        "aud": "mainstem",
        "sub": str(USER),
        "sid": str(SESSION),
        "tenant_id": 7,
        "tenant": "harbour",
        "role": "owner",
    }
    made |= {"iat": now, "nbf": now, "exp": now + 3_600, "jti": "1"} | changes
    return {name: value for name, value in made.items() if value is not None}


def signed(key: Any = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(algorithm: str, signature: str = "") -> str:
    head = b64(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    return f"{head}.{b64(json.dumps(claims()).encode())}.{signature}"


def confused() -> str:
    """Sign with the public RSA key as if it were an HMAC secret."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return by_hand({"alg": "HS256", "typ": "JWT"}, pem)


def by_hand(header: dict[str, Any], key: bytes) -> str:
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{body}.{b64(jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(body.encode(), key))}"


def jwk_of(private: Any, algorithm: str, kid: str) -> dict[str, Any]:
    kinds = {
        "RS256": jwt.algorithms.RSAAlgorithm,
        "ES256": jwt.algorithms.ECAlgorithm,
        "EdDSA": jwt.algorithms.OKPAlgorithm,
    }
    made: dict[str, Any] = kinds[algorithm].to_jwk(private.public_key(), as_dict=True)
    return made | {"kid": kid, "alg": algorithm, "use": "sig"}


def test_an_issued_token_is_read_back() -> None:
    found = tokens.read(KEY, ours())
    assert found is not None
    assert (found.session_id, found.user_id) == (SESSION, USER)
    assert (found.tenant_id, found.tenant, found.role) == (7, "harbour", "owner")
    assert 3_590 <= found.expires_at - time.time() <= 3_600


def test_the_forgeries_below_start_from_a_good_token() -> None:
    assert tokens.read(KEY, signed()) is not None
    assert tokens.read(KEY, by_hand({"alg": "HS256", "typ": "JWT"}, KEY)) is not None


ATTACKER = b"a" * 32
FORGERIES = {
    "none": lambda: unsigned("none"),
    "None": lambda: unsigned("None"),
    "NONE with a signature": lambda: unsigned("NONE", "c2ln"),
    "no algorithm": lambda: by_hand({"typ": "JWT"}, KEY),
    "RS256 public key as secret": confused,
    "RS256": lambda: signed(RSA, "RS256"),
    "HS512 with our key": lambda: signed(KEY * 2, "HS512"),
    "kid path traversal": lambda: signed(ATTACKER, headers={"kid": "../../../../dev/null"}),
    "kid SQL": lambda: signed(ATTACKER, headers={"kid": "x' union select 'aaaa' --"}),
    "empty key by kid": lambda: by_hand({"alg": "HS256", "kid": "/dev/null"}, b""),
    "jwk in the header": lambda: signed(ATTACKER, headers={"jwk": {"kty": "oct", "k": b64(ATTACKER)}}),
    "jku": lambda: signed(RSA, "RS256", headers={"jku": "http://127.0.0.1:1/jwks", "kid": "a"}),
    "x5u": lambda: signed(RSA, "RS256", headers={"x5u": "http://127.0.0.1:1/cert"}),
    "expired": lambda: signed(exp=int(time.time()) - 1),
    "not yet": lambda: signed(nbf=int(time.time()) + 60),
    "foreign audience": lambda: signed(aud="other"),
    "our audience among others": lambda: signed(aud=["mainstem", "other"]),
    "foreign issuer": lambda: signed(iss="other"),
    "no exp": lambda: signed(exp=None),
    "no nbf": lambda: signed(nbf=None),
    "no iat": lambda: signed(iat=None),
    "no jti": lambda: signed(jti=None),
    "no aud": lambda: signed(aud=None),
    "no iss": lambda: signed(iss=None),
    "no sub": lambda: signed(sub=None),
    "no session, as before there were any": lambda: signed(sid=None),
    "session is no uuid": lambda: signed(sid="1 or 1=1"),
    "session is no text": lambda: signed(sid=7),
    "sub is no uuid": lambda: signed(sub="1 or 1=1"),
    "no tenant": lambda: signed(tenant_id=None),
    "tenant as text": lambda: signed(tenant_id="7"),
    "tenant as truth": lambda: signed(tenant_id=True),
    "endless": lambda: signed(exp=1e400),
    "wrong key": lambda: signed(ATTACKER),
    "empty signature": lambda: signed().rpartition(".")[0] + ".",
    "no signature": lambda: signed().rpartition(".")[0],
    "cut signature": lambda: signed()[:-4],
    "crit": lambda: signed(headers={"crit": ["x"], "x": 1}),
    "a megabyte": lambda: "eyJ" + "A" * 1_000_000 + ".AAAA.AAAA",
    "a megabyte of parts": lambda: "eyJ" + "." * 1_000_000,
    "deep JSON": lambda: "eyJ" + b64(b"[" * 3_000) + "." + b64(b"[" * 2_000) + ".AAAA",
    "not base64": lambda: "eyJ!!!.???.***",
    "not ASCII": lambda: "eyJä.ü.ö",
    "empty": lambda: "",
    "dots": lambda: "..",
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forgeries_are_nothing(forgery: str) -> None:
    assert tokens.read(KEY, FORGERIES[forgery]()) is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_breaks_a_token(place: int, change: int) -> None:
    good = ours()
    text = bytearray(good.encode())
    text[place % len(text)] ^= change
    changed = text.decode("latin-1")
    # the last character of a part may carry unused bits: the same bytes, so the same token
    assert tokens.read(KEY, changed) in (None, tokens.read(KEY, good))
    assert tokens.read(KEY, changed) is None or place % len(text) == len(text) - 1


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert tokens.read(KEY, text) is None
    assert tokens.read(KEY, f"eyJ{text}.{text}.{text}") is None


def test_an_old_token_has_ended() -> None:
    assert tokens.read(KEY, ours(now=utc_now() - timedelta(hours=1, seconds=1))) is None


class KeyServer:
    """A real HTTP server that answers with a key set and counts the questions."""

    def __init__(self) -> None:
        """Start on a free port."""
        self.body: bytes = b"{}"
        self.status = 200
        self.questions = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.questions += 1
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(owner.body)))
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/auth/jwks"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def serve(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.server.shutdown()
    server.server.server_close()


def better_auth(**values: Any) -> tokens.BetterAuth:
    return tokens.BetterAuth(Settings(_env_file=None, **values))


def theirs(key: Any, algorithm: str, kid: str | None = "k1", **changes: Any) -> str:
    made = {"sub": "u_1", "email": "Ana@Harbour.example", "exp": int(time.time()) + 60} | changes
    made = {name: value for name, value in made.items() if value is not None}
    return jwt.encode(made, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


KINDS = {"EdDSA": ED, "ES256": EC, "RS256": RSA}


@pytest.mark.parametrize("algorithm", KINDS)
async def test_better_auth_tokens_by_key_set(key_server: KeyServer, algorithm: str) -> None:
    key_server.serve(jwk_of(KINDS[algorithm], algorithm, "k1"))
    reader = better_auth(better_auth_jwks_url=key_server.url)
    end = int(time.time()) + 90
    for _ in range(3):
        assert await reader.read(theirs(KINDS[algorithm], algorithm, exp=end)) == tokens.ForeignClaims(
            "u_1", "ana@harbour.example", "", vouched=False, expires_at=end
        )
    assert await reader.read(theirs(KINDS[algorithm], algorithm, kid=None)) is not None
    assert key_server.questions == 1


THEIR_FORGERIES = {
    "foreign key": lambda: theirs(ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    "foreign kid": lambda: theirs(ED, "EdDSA", kid="k9"),
    "key of another kind": lambda: theirs(RSA, "RS256"),
    "none": lambda: unsigned("none"),
    "public key as secret": lambda: by_hand({"alg": "HS256", "kid": "k1"}, jwk_of(ED, "EdDSA", "k1")["x"].encode()),
    "expired": lambda: theirs(ED, "EdDSA", exp=int(time.time()) - 60),
    "no exp": lambda: theirs(ED, "EdDSA", exp=None),
    "no sub": lambda: theirs(ED, "EdDSA", sub=None),
    "no e-mail": lambda: theirs(ED, "EdDSA", email=None),
    "unverified e-mail": lambda: theirs(ED, "EdDSA", emailVerified=False),
    "foreign issuer": lambda: theirs(ED, "EdDSA", iss="https://evil.test"),
    "no issuer": lambda: theirs(ED, "EdDSA", iss=None),
    "foreign audience": lambda: theirs(ED, "EdDSA", aud="other"),
    "no audience": lambda: theirs(ED, "EdDSA", aud=None),
}


@pytest.mark.parametrize("forgery", THEIR_FORGERIES)
async def test_forged_better_auth_tokens_are_nothing(
    key_server: KeyServer, forgery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_server.serve(jwk_of(ED, "EdDSA", "k1"))
    reader = better_auth(
        better_auth_jwks_url=key_server.url, better_auth_issuer="https://auth.test", better_auth_audience="hub"
    )
    plain = theirs

    def complete(key: Any, algorithm: str, kid: str | None = "k1", **changes: Any) -> str:
        return plain(key, algorithm, kid, **({"iss": "https://auth.test", "aud": "hub"} | changes))

    monkeypatch.setitem(globals(), "theirs", complete)
    assert await reader.read(theirs(ED, "EdDSA")) is not None
    assert await reader.read(THEIR_FORGERIES[forgery]()) is None


async def test_our_key_never_verifies_by_the_key_set(key_server: KeyServer) -> None:
    key_server.serve({"kty": "oct", "k": b64(KEY), "kid": "k1", "alg": "HS256"})
    assert await better_auth(better_auth_jwks_url=key_server.url).read(theirs(KEY, "HS256")) is None


async def test_made_up_key_names_ask_the_server_once(key_server: KeyServer) -> None:
    key_server.serve(jwk_of(ED, "EdDSA", "k1"))
    reader = better_auth(better_auth_jwks_url=key_server.url)
    for number in range(20):
        assert await reader.read(theirs(ED, "EdDSA", kid=f"made-up-{number}")) is None
    assert key_server.questions == 1


async def test_a_new_key_is_fetched_and_known_ones_outlive_the_server(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_JWKS_RETRY_S", 0.0)
    key_server.serve(jwk_of(ED, "EdDSA", "k1"))
    reader = better_auth(better_auth_jwks_url=key_server.url)
    assert await reader.read(theirs(ED, "EdDSA")) is not None
    key_server.serve(jwk_of(ED, "EdDSA", "k1"), jwk_of(EC, "ES256", "k2"))
    assert await reader.read(theirs(EC, "ES256", kid="k2")) is not None
    for status, body in ((500, b"{}"), (200, b"nonsense"), (200, b'{"keys":7}'), (200, b"x" * 300_000), (302, b"")):
        key_server.status, key_server.body = status, body
        assert await reader.read(theirs(ED, "EdDSA", kid="k9")) is None
        assert await reader.read(theirs(ED, "EdDSA")) is not None


@pytest.mark.parametrize(
    ("said", "vouched"),
    [({}, False), ({"emailVerified": True}, True), ({"email_verified": True}, True), ({"emailVerified": 1}, None)],
)
async def test_only_a_plain_yes_vouches_for_an_email(said: dict[str, Any], vouched: bool | None) -> None:
    legacy = better_auth(better_auth_secret=SECRET, better_auth_legacy=True)
    found = await legacy.read(theirs(SECRET, "HS256", kid=None, name="Ana", **said))
    assert (None if found is None else found.vouched) is vouched
    assert found is None or found.name == "Ana"


async def test_a_shared_secret_counts_only_in_legacy_mode() -> None:
    end = int(time.time()) + 90
    token = theirs(SECRET, "HS256", kid=None, exp=end)
    legacy = better_auth(better_auth_secret=SECRET, better_auth_legacy=True)
    assert await legacy.read(token) == tokens.ForeignClaims(
        "u_1", "ana@harbour.example", "", vouched=False, expires_at=end
    )
    assert await legacy.read(theirs(SECRET + "x", "HS256", kid=None)) is None
    assert await legacy.read(theirs(ED, "EdDSA")) is None
    assert await legacy.read(unsigned("none")) is None
    assert await better_auth(better_auth_secret=SECRET).read(token) is None
    assert await better_auth(better_auth_legacy=True).read(token) is None
