"""Who may send: credentials, tenant header, browser origin and event quota of a hot-path request."""

from typing import Final

import msgspec

from mainstem.front.request import Request
from mainstem.front.services import Services
from mainstem.platform.addresses import origin_allowed
from mainstem.platform.auth import INVALID, MISSING, Caller, credentials
from mainstem.platform.errors import ForbiddenError, RateLimitedError, UnauthorizedError

PUBLIC_KEY_PREFIX: Final = "ms_pub_"


class _KeyInBody(msgspec.Struct):
    """What a browser's beacon, which can't set headers, carries in its body."""

    write_key: str | None = None


_KEY_IN_BODY: Final = msgspec.json.Decoder(_KeyInBody)


async def caller_of(services: Services, request: Request) -> Caller | None:
    """Return the caller named by the headers; None when they name nobody. Raises UnauthorizedError, ForbiddenError."""
    key = credentials(request.scope["headers"])
    if key is None:
        if b"authorization" in request.headers:
            raise UnauthorizedError(MISSING)
        return None
    return await _checked(services, request, key)


async def caller_in_body(services: Services, request: Request, body: bytes) -> Caller:
    """Return the caller named by a public key in the body's `write_key`.

    Raises UnauthorizedError when there is none, or when it is not a public key: a secret key has no place there.
    """
    try:
        key = _KEY_IN_BODY.decode(body).write_key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        key = None
    if key is None or not key.startswith(PUBLIC_KEY_PREFIX):
        raise UnauthorizedError(MISSING)
    return await _checked(services, request, key)


async def _checked(services: Services, request: Request, key: str) -> Caller:
    caller = services.authenticator.cached_by_key(key) or await services.authenticator.by_token(key)
    if caller is None:
        raise UnauthorizedError(INVALID)
    if "ingest" not in caller.scopes:
        raise ForbiddenError("This key lacks the scope ingest.")
    tenant = request.headers.get(b"x-customer-id")
    if tenant is not None and tenant.decode("latin-1") != caller.tenant:
        raise ForbiddenError("X-Customer-ID is not the tenant of this key.", field="X-Customer-ID")
    if caller.public:
        origin = request.text(b"origin")
        if origin is None or not origin_allowed(origin, caller.allowed_origins):
            raise ForbiddenError("This public key is bound to other origins.", field="Origin")
        request.public = True
    return caller


async def spend(services: Services, caller: Caller, ip: str | None, events: int) -> None:
    """Take `events` from the caller's quota, and from its address's quota for a public key. Raises RateLimitedError."""
    settings = services.settings
    await _take(services, caller.subject + ":events", events, settings.ingest_rate_limit_events)
    if caller.public:
        await _take(services, f"{caller.subject}:{ip}", events, settings.public_key_rate_limit_events)


async def _take(services: Services, subject: str, events: int, limit: int) -> None:
    window_s = services.settings.rate_limit_window_seconds
    limiter = services.limiter
    allowance = limiter.try_take_leased(subject, events, limit=limit, window_s=window_s)
    if allowance is None:
        allowance = await limiter.take_leased(subject, events, limit=limit, window_s=window_s)
    if not allowance.allowed:
        raise RateLimitedError(
            f"Rate limit of {limit:,} events per {window_s} s exceeded",
            retry_after_s=allowance.retry_after_s,
            headers=allowance.headers(),
        )
