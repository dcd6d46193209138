"""Tokens of signed-in people: ours, and those of a Better Auth server.

Ours are HS256 by a key derived from SECRET_KEY, and nothing else is ever tried with that key. What a token's
header says (`kid`, `jwk`, `jku`, `x5u`) never chooses a key for ours. Tokens of Better Auth come by its JWKS
(EdDSA, ES256, RS256), or, as an explicit legacy mode, by a shared secret (HS256).
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import jwt

from mainstem.platform.clock import utc_now
from mainstem.platform.ids import uuid7
from mainstem.platform.settings import Settings

ISSUER: Final = "mainstem"
AUDIENCE: Final = "mainstem"
ALGORITHM: Final = "HS256"
JWKS_ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
LONGEST_TOKEN: Final = 8_192
_PARTS: Final = 3
_SKEW_S: Final = 10
_REQUIRED: Final = ["exp", "iat", "nbf", "jti", "iss", "aud", "sub", "sid"]
_JWKS_FRESH_S: Final = 300.0
_JWKS_RETRY_S: Final = 30.0
_JWKS_TIMEOUT_S: Final = 5.0
_MOST_JWKS_BYTES: Final = 262_144
_MOST_JWKS_KEYS: Final = 32


@dataclass(frozen=True, slots=True)
class Claims:
    """What one of our tokens says."""

    session_id: UUID
    user_id: UUID
    tenant_id: int
    tenant: str
    role: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class ForeignClaims:
    """What a Better Auth token says: who the person is there."""

    subject: str
    email: str
    name: str
    vouched: bool
    """The server says that it has verified the e-mail; others don't mention it."""
    expires_at: int


def looks_like_token(text: str) -> bool:
    """Tell whether a credential has the form of a JWT (three parts, JSON first) and a sane length."""
    return len(text) <= LONGEST_TOKEN and text.startswith("eyJ") and text.count(".") == _PARTS - 1


def issue(  # noqa: PLR0913 - the claims
    key: bytes,
    *,
    session_id: UUID,
    user_id: UUID,
    tenant_id: int,
    tenant: str,
    role: str,
    lifetime: timedelta,
    now: datetime | None = None,
) -> str:
    """Return a signed token for a user; `key` has 32 bytes (`secrets.derive(…, "jwt")`)."""
    issued = int((now or utc_now()).timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "tenant_id": tenant_id,
        "tenant": tenant,
        "role": role,
        "iat": issued,
        # another host's clock may be a little behind
        "nbf": issued - _SKEW_S,
        "exp": issued + int(lifetime.total_seconds()),
        "jti": str(uuid7()),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def read(key: bytes, token: str) -> Claims | None:
    """Return the claims of one of our tokens, or None when anything about it is wrong."""
    if not looks_like_token(token):
        return None
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": _REQUIRED, "strict_aud": True, "verify_iat": False},
        )
        tenant_id, tenant, role = claims["tenant_id"], claims["tenant"], claims["role"]
        if type(tenant_id) is not int or not isinstance(tenant, str) or not isinstance(role, str):
            return None
        return Claims(UUID(claims["sid"]), UUID(claims["sub"]), tenant_id, tenant, role, claims["exp"])
    # a hostile token can break a parser in many ways, and each means the same
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


class BetterAuth:
    """Reads tokens of the Better Auth server that the settings name, if any; for one event loop."""

    def __init__(self, settings: Settings) -> None:
        """Keep address, issuer and audience; fetches nothing yet."""
        self._url = settings.better_auth_jwks_url
        self._issuer = settings.better_auth_issuer
        self._audience = settings.better_auth_audience
        secret = settings.better_auth_secret if settings.better_auth_legacy else None
        self._secret = secret.get_secret_value().encode() if secret is not None else None
        self._keys: Mapping[str | None, Mapping[str, Any]] = {}
        self._asked_at: float | None = None
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()

    @property
    def enabled(self) -> bool:
        """Whether any such token can be accepted."""
        return self._url is not None or self._secret is not None

    async def read(self, token: str) -> ForeignClaims | None:
        """Return who the token stands for, or None when anything about it is wrong.

        `exp` and an e-mail are required; one that Better Auth calls unverified proves nothing.
        """
        if not self.enabled or not looks_like_token(token):
            return None
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm in JWKS_ALGORITHMS and self._url is not None:
                key = await self._key(header.get("kid"), str(algorithm))
                return None if key is None else self._verified(token, key, [str(algorithm)])
            if algorithm == ALGORITHM and self._secret is not None:
                return self._verified(token, self._secret, [ALGORITHM])
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError, OverflowError):
            return None
        return None

    def _verified(self, token: str, key: jwt.PyJWK | bytes, algorithms: Sequence[str]) -> ForeignClaims | None:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=_SKEW_S,
            options={"require": ["exp", "sub"], "verify_aud": self._audience is not None},
        )
        email = claims.get("email")
        verified = [claims[word] for word in ("emailVerified", "email_verified") if word in claims]
        if not isinstance(email, str) or not email or not all(one is True for one in verified):
            return None
        name = claims.get("name")
        return ForeignClaims(
            subject=claims["sub"],
            email=email.strip().lower(),
            name=name if isinstance(name, str) else "",
            vouched=bool(verified),
            expires_at=int(claims["exp"]),
        )

    async def _key(self, kid: object, algorithm: str) -> jwt.PyJWK | None:
        """Return the server's key for a token; a key made for another algorithm is none."""
        data = await self._jwk(kid if isinstance(kid, str) else None)
        if data is None or data.get("kty") not in {"OKP", "EC", "RSA"} or data.get("alg", algorithm) != algorithm:
            return None
        return None if data.get("use", "sig") != "sig" else jwt.PyJWK(dict(data), algorithm)

    async def _jwk(self, kid: str | None) -> Mapping[str, Any] | None:
        if self._must_fetch(kid):
            async with self._fetching:
                if self._must_fetch(kid):
                    await self._fetch()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _must_fetch(self, kid: str | None) -> bool:
        """Fetch when the keys are old, or an unknown key is named; made-up names fetch no more often than that."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < _JWKS_RETRY_S:
            return False
        return (
            self._fetched_at is None
            or now - self._fetched_at > _JWKS_FRESH_S
            or (kid is not None and kid not in self._keys)
        )

    async def _fetch(self) -> None:
        """Take over the server's keys; while it is away or talks nonsense, the known ones stay."""
        self._asked_at = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=_JWKS_TIMEOUT_S, follow_redirects=False) as client:
                body = await _limited(client, str(self._url))
            found = json.loads(body)["keys"][:_MOST_JWKS_KEYS]
            self._keys = {key.get("kid"): key for key in found}
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return
        self._fetched_at = self._asked_at


async def _limited(client: httpx.AsyncClient, url: str) -> bytes:
    body = bytearray()
    async with client.stream("GET", url, headers={"Accept": "application/json"}) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MOST_JWKS_BYTES:
                msg = "the key set is too large"
                raise ValueError(msg)
    return bytes(body)
