"""Who calls, and what they may do: API keys, tokens, and the check that every route stands behind.

A credential comes as `Authorization: Bearer`, as `X-API-Key`, or as the user name of `Authorization: Basic`.
The hot path asks `cached_by_key` and `by_token`; FastAPI routes depend on `require(scope)`.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg
from fastapi import Depends, Request, Response
from fastapi.openapi.models import APIKey as ApiKeyModel
from fastapi.openapi.models import APIKeyIn, OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.openapi.models import HTTPBase as HttpModel
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security.base import SecurityBase

from mainstem.platform import sessions, tokens, users
from mainstem.platform.addresses import client_address, origin_allowed, parse_networks
from mainstem.platform.callers import Admission, Caller, caller_of_key, caller_of_session, caller_of_user
from mainstem.platform.credential_cache import CredentialCache
from mainstem.platform.db import Pool, load_queries, transaction
from mainstem.platform.errors import ForbiddenError, InvalidFieldError, RateLimitedError, UnauthorizedError
from mainstem.platform.http import note_tenant
from mainstem.platform.keys import LONGEST_KEY, key_hash
from mainstem.platform.secrets import derive, secret_key
from mainstem.platform.settings import Settings

if TYPE_CHECKING:
    from mainstem.platform.limits import RateLimiter

__all__ = [
    "DOCUMENTED",
    "INVALID",
    "MISSING",
    "WRONG",
    "Admission",
    "Authenticator",
    "Caller",
    "check_scope",
    "client_of",
    "credentials",
    "identify",
    "limit_management",
    "require",
    "require_person",
]

MISSING: Final = "Missing or invalid Authorization header"
INVALID: Final = "Invalid API token"
WRONG: Final = "Wrong e-mail or password."
_UNKNOWN: Final = sessions.Client()
_QUERIES: Final = load_queries("mainstem.platform")
_TIMEOUT_S: Final = 2.0


def credentials(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return the key or token of ASGI headers, or None: Bearer, then X-API-Key, then the user name of Basic."""
    api_key = basic = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.strip().partition(b" ")
            rest = rest.strip()
            match scheme.lower():
                case b"bearer" if rest:
                    return rest.decode("latin-1")
                case b"basic" if basic is None:
                    basic = _user_name(rest)
        elif name == b"x-api-key" and api_key is None:
            api_key = value.strip().decode("latin-1") or None
    return api_key or basic


def _user_name(encoded: bytes) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[0].decode() or None
    except (binascii.Error, ValueError):
        return None


class Authenticator:
    """Knows callers by their credentials; one per process, on one event loop."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        """Keep a worker pool (before a credential is known, there is no tenant to bind to) and the secrets."""
        self._pool = pool
        self._jwt_key = derive(secret_key(settings, settings.data_dir), "jwt")
        self._lifetime = timedelta(hours=settings.jwt_expiration_hours)
        self._default_tenant = settings.default_tenant
        configured = settings.webhook_api_key
        self._webhook_hash = key_hash(configured.get_secret_value()) if configured is not None else None
        self._better_auth = tokens.BetterAuth(settings)
        self._newcomers = settings.sign_up_role if settings.better_auth_sign_up else None
        self._keys: CredentialCache[bytes, Caller] = CredentialCache(self._ask_key)
        self._sessions: CredentialCache[UUID, Caller] = CredentialCache(self._ask_session)
        self._emails: CredentialCache[str, Caller] = CredentialCache(self._ask_email)

    @property
    def token_lifetime(self) -> timedelta:
        """How long an issued token is valid."""
        return self._lifetime

    def cached_by_key(self, key: str) -> Caller | None:
        """Return the caller of a key that was seen within the last two seconds, else None; no I/O."""
        return self._keys.fresh(key_hash(key)) if len(key) <= LONGEST_KEY else None

    async def by_key(self, key: str) -> Caller | None:
        """Return the caller of an API key, None when it is unknown or revoked.

        Raises UnavailableError when the database is away and the key was not seen in the last 24 hours.
        """
        return await self._keys.get(key_hash(key)) if 0 < len(key) <= LONGEST_KEY else None

    async def by_token(self, token: str) -> Caller | None:
        """Return the caller of a token (ours or Better Auth's) or API key, None when it is not valid.

        A token whose session has ended is not valid, nor one of a user who was disabled or moved; the role is the
        user's present one.
        Raises UnavailableError as `by_key` does.
        """
        admission = await self.admit(token)
        return None if admission is None else admission.caller

    async def admit(self, token: str) -> Admission | None:
        """Return the caller of a token or key as `by_token` does, and how long it lasts."""
        if tokens.looks_like_token(token):
            claims = tokens.read(self._jwt_key, token)
            if claims is not None:
                caller = await self._sessions.get(claims.session_id)
                if caller is None or (caller.user_id, caller.tenant_id) != (claims.user_id, claims.tenant_id):
                    return None
                return Admission(caller, claims.expires_at)
            foreign = await self._better_auth.read(token)
            if foreign is not None:
                caller = await self._emails.get(foreign.email) or await self._first_visit(foreign)
                return None if caller is None else Admission(caller, foreign.expires_at)
        # a key that was imported from elsewhere may look like a token
        caller = await self.by_key(token)
        return None if caller is None else Admission(caller, None)

    async def still(self, callers: Iterable[Caller]) -> dict[str, Caller]:
        """Return those of the callers who may still come in, as they are now, by credential; asks the database once.

        Raises what asyncpg raises, and TimeoutError.
        """
        keys, signed_in, people = [], [], []
        for caller in callers:
            if caller.key_id is not None:
                keys.append(caller.key_id)
            elif caller.session_id is not None:
                signed_in.append(caller.session_id)
            elif caller.user_id is not None:
                people.append(caller.user_id)
        async with transaction(self._pool, timeout_s=_TIMEOUT_S) as connection:
            found = [caller_of_key(row) for row in await connection.fetch(_QUERIES["callers_of_keys"], keys)]
            found += [caller_of_session(row) for row in await sessions.callers(connection, signed_in)]
            found += [caller_of_user(row) for row in await connection.fetch(_QUERIES["callers_of_users"], people)]
        return {caller.credential: caller for caller in found}

    async def issue(self, signed_in: users.SignedIn, client: sessions.Client = _UNKNOWN) -> str:
        """Begin a session for a user who has signed in and return its token.

        Raises UnauthorizedError when the user was disabled or removed meanwhile, or got another password.
        """
        user = signed_in.user
        async with transaction(self._pool) as connection:
            session_id = await sessions.begin(
                connection, user.tenant_id, user.id, client, self._lifetime, proof=signed_in.proof
            )
        if session_id is None:
            raise UnauthorizedError(WRONG)
        return tokens.issue(
            self._jwt_key,
            session_id=session_id,
            user_id=user.id,
            tenant_id=user.tenant_id,
            tenant=signed_in.tenant,
            role=user.role,
            lifetime=self._lifetime,
        )

    def forget(self, session_id: UUID) -> None:
        """Ask for a session that was ended here; other processes know within two seconds."""
        self._sessions.forget(session_id)

    async def sign_in(self, email: str, password: str) -> users.SignedIn | None:
        """Return the user of these credentials, as `users.sign_in` does."""
        return await users.sign_in(self._pool, email, password)

    async def _ask_key(self, hashed: bytes) -> Caller | None:
        row = await self._row("caller_of_key", hashed)
        if row is not None:
            return caller_of_key(row)
        if self._webhook_hash is not None and hmac.compare_digest(hashed, self._webhook_hash):
            return await self._webhook_caller()
        return None

    async def _webhook_caller(self) -> Caller | None:
        row = await self._row("tenant_by_slug", self._default_tenant)
        if row is None:
            return None
        return Caller(
            tenant_id=row["tenant_id"],
            tenant=row["slug"],
            scopes=frozenset({"ingest"}),
            key_id=None,
            user_id=None,
            role=None,
            public=False,
            allowed_origins=(),
            subject="key:webhook",
        )

    async def _ask_session(self, session_id: UUID) -> Caller | None:
        async with transaction(self._pool, timeout_s=_TIMEOUT_S) as connection:
            row = await sessions.caller(connection, session_id)
        return None if row is None else caller_of_session(row)

    async def _ask_email(self, email: str) -> Caller | None:
        row = await self._row("caller_of_email", email)
        return None if row is None else caller_of_user(row)

    async def _first_visit(self, person: tokens.ForeignClaims) -> Caller | None:
        """Make a user of somebody whose e-mail Better Auth has verified, where that is wanted; None where it is not."""
        if self._newcomers is None or not person.vouched:
            return None
        try:
            email, name = users.check_email(person.email), users.clean_name(person.name)
        except InvalidFieldError:
            return None
        async with transaction(self._pool, timeout_s=_TIMEOUT_S) as connection:
            await users.welcome(connection, self._default_tenant, email, name, self._newcomers)
        # the cache remembers a refusal for a moment
        return await self._ask_email(email)

    async def _row(self, query: str, value: object) -> asyncpg.Record | None:
        async with transaction(self._pool, timeout_s=_TIMEOUT_S) as connection:
            return await connection.fetchrow(_QUERIES[query], value, timeout=_TIMEOUT_S)


class _Documented(SecurityBase):
    """A way to send a credential, for OpenAPI only: the check itself is `require`'s."""

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        """Check nothing."""


_TOKEN_FLOW: Final = OAuthFlows(password=OAuthFlowPassword(tokenUrl="/api/v1/auth/token", scopes={}))
_SCHEMES: Final = (
    _Documented("bearer", BearerModel(description="An API key, or a token of POST /api/v1/auth/token.")),
    _Documented("apiKey", ApiKeyModel.model_validate({"in": APIKeyIn.header, "name": "X-API-Key"})),
    _Documented("basic", HttpModel(scheme="basic", description="The API key as user name, no password.")),
    _Documented("password", OAuth2(flows=_TOKEN_FLOW)),
)


DOCUMENTED: Final = tuple(Depends(scheme) for scheme in _SCHEMES)
"""Dependencies that tell OpenAPI of the credentials of a route which checks them by `identify`."""


def require(scope: str) -> Callable[..., Awaitable[Caller]]:
    """Return a FastAPI dependency that gives the Caller, who has the scope and requests left in the window.

    It reads `authenticator`, `limiter` and `settings` from `request.app.state` and sets RateLimit-* on the
    answer. Its errors: UnauthorizedError without valid credentials; ForbiddenError without the scope, for an
    X-Customer-ID that is not the caller's tenant, and for a public key from a foreign origin;
    RateLimitedError; UnavailableError when credentials can't be checked.
    """

    async def caller_with_scope(
        request: Request,
        response: Response,
        _bearer: None = Depends(_SCHEMES[0]),
        _api_key: None = Depends(_SCHEMES[1]),
        _basic: None = Depends(_SCHEMES[2]),
        _password: None = Depends(_SCHEMES[3]),
    ) -> Caller:
        caller = await identify(request)
        check_scope(request, caller, scope)
        await limit_management(request, response, caller)
        return caller

    return caller_with_scope


def require_person() -> Callable[..., Awaitable[Caller]]:
    """Return a dependency as `require` does, for what only a person who signed in may do: a key must not make keys.

    Its caller has a `user_id` and no `key_id`. Its errors are those of `require`.
    """

    async def person(
        request: Request,
        response: Response,
        _bearer: None = Depends(_SCHEMES[0]),
        _password: None = Depends(_SCHEMES[3]),
    ) -> Caller:
        caller = await identify(request)
        if caller.user_id is None or caller.key_id is not None:
            raise ForbiddenError("Sign in for this: a key can't do it.")
        await limit_management(request, response, caller)
        return caller

    return person


def client_of(request: Request) -> sessions.Client:
    """Return what a session keeps of who makes a request."""
    settings: Settings = request.app.state.settings
    address = client_address(request.scope, parse_networks(settings.trusted_proxies))
    return sessions.client_of(request.headers.get("user-agent", ""), address, settings.ip_mode)


async def identify(request: Request) -> Caller:
    """Return who makes a request, whatever they may do. Raises UnauthorizedError, ForbiddenError, UnavailableError."""
    authenticator: Authenticator = request.app.state.authenticator
    credential = credentials(request.scope["headers"])
    if credential is None:
        raise UnauthorizedError(MISSING)
    caller = authenticator.cached_by_key(credential) or await authenticator.by_token(credential)
    if caller is None:
        raise UnauthorizedError(INVALID)
    tenant = request.headers.get("x-customer-id")
    if tenant is not None and tenant != caller.tenant:
        raise ForbiddenError("X-Customer-ID is not the tenant of this credential.", field="X-Customer-ID")
    note_tenant(request.scope, caller.tenant)
    return caller


def check_scope(request: Request, caller: Caller, scope: str) -> None:
    """Check that a caller may do this from here. Raises ForbiddenError."""
    if scope not in caller.scopes:
        raise ForbiddenError(f"This needs the scope {scope}.")
    if caller.public and not origin_allowed(request.headers.get("origin", ""), caller.allowed_origins):
        raise ForbiddenError("This public key is bound to other origins.", field="Origin")


async def limit_management(request: Request, response: Response, caller: Caller) -> None:
    """Take one request of the management limit, of the address's own behind a public key. Raises RateLimitedError."""
    limiter: RateLimiter = request.app.state.limiter
    settings: Settings = request.app.state.settings
    subject = caller.subject
    if caller.public:
        subject += f":{client_address(request.scope, parse_networks(settings.trusted_proxies))}"
    allowance = await limiter.take(
        subject, 1, limit=settings.rate_limit_requests, window_s=settings.rate_limit_window_seconds
    )
    if not allowance.allowed:
        raise RateLimitedError(retry_after_s=allowance.retry_after_s, headers=allowance.headers())
    response.headers.update(allowance.headers())
