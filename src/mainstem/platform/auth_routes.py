"""Routes of sign-in and API keys: `/api/v1/auth/token`, `/api/v1/keys`, `/api/v1/me`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from mainstem.platform import keys
from mainstem.platform.addresses import client_address, parse_networks
from mainstem.platform.auth import (
    DOCUMENTED,
    WRONG,
    Authenticator,
    Caller,
    client_of,
    identify,
    limit_management,
    require,
)
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import (
    BadRequestError,
    PayloadTooLargeError,
    RateLimitedError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from mainstem.platform.problems import from_validation
from mainstem.platform.users import SignedIn

if TYPE_CHECKING:
    from mainstem.platform.limits import RateLimiter

SIGN_INS_PER_ADDRESS: Final = 60
SIGN_IN_WINDOW_S: Final = 60
_MOST_SIGN_IN_BYTES: Final = 16_384
_MOST_FORM_FIELDS: Final = 16
FORM: Final = "application/x-www-form-urlencoded"

router = APIRouter(prefix="/api/v1", tags=["auth"])


class Credentials(BaseModel):
    """E-mail and password of a user."""

    email: str = Field(min_length=1, max_length=254)
    password: SecretStr = Field(min_length=1)


class PasswordForm(BaseModel):
    """The OAuth2 password form (RFC 6749, 4.3.2)."""

    username: str = Field(description="The user's e-mail.")
    password: str
    grant_type: Literal["password"] = "password"


class UserOut(BaseModel):
    """A user, as shown to that user."""

    id: UUID
    email: str
    name: str
    role: str
    tenant: str


class TokenOut(BaseModel):
    """A token to send as `Authorization: Bearer`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of the scheme
    expires_in: int = Field(description="Seconds until the token ends.")
    user: UserOut


class CallerOut(BaseModel):
    """Who the credential stands for."""

    tenant: str
    scopes: list[str]
    key_id: int | None
    user_id: UUID | None
    role: str | None


class KeyIn(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field("", max_length=200)
    kind: Literal["secret", "public"] = "secret"
    scopes: list[str] = Field(
        default_factory=list, max_length=8, description="Of a secret key; a public one has ingest."
    )
    allowed_origins: list[str] = Field(default_factory=list, max_length=50, description="Of a public key only.")


class KeyOut(BaseModel):
    """A key, without its text."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    prefix: str
    label: str
    kind: Literal["secret", "public"]
    scopes: list[str]
    allowed_origins: list[str]
    imported: bool
    user_id: UUID | None = Field(description="The person it acts for, if any.")
    created_at: datetime
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key just made, with its text, which is shown only now."""

    key: str


class KeysOut(BaseModel):
    """Keys of the tenant, newest first."""

    items: list[KeyOut]
    total: int


_SIGN_IN_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Credentials.model_json_schema()},
            FORM: {"schema": PasswordForm.model_json_schema()},
        },
    }
}


@router.post("/auth/token", openapi_extra=_SIGN_IN_BODY)
async def sign_in(request: Request, response: Response) -> TokenOut:
    """Sign in with e-mail and password, as OAuth2 password form or JSON, and get a token.

    A wrong password and an unknown e-mail give the same 401. After ten failures in a row the e-mail is locked
    for 15 minutes (429 with Retry-After); each client address has a limit of attempts, too.
    """
    state = request.app.state
    await limit_address(request, "signin", limit=SIGN_INS_PER_ADDRESS, window_s=SIGN_IN_WINDOW_S)
    given = await _sign_in_body(request)
    authenticator: Authenticator = state.authenticator
    signed_in = await authenticator.sign_in(given.email, given.password.get_secret_value())
    if signed_in is None:
        raise UnauthorizedError(WRONG)
    token = await authenticator.issue(signed_in, client_of(request))
    response.headers["Cache-Control"] = "no-store"
    seconds = int(authenticator.token_lifetime.total_seconds())
    return TokenOut(access_token=token, expires_in=seconds, user=_user(signed_in))


@router.get("/me", dependencies=DOCUMENTED)
async def me(request: Request, response: Response) -> CallerOut:
    """Tell whom the credential stands for and what it may do; any credential may ask."""
    caller = await identify(request)
    await limit_management(request, response, caller)
    return CallerOut(
        tenant=caller.tenant,
        scopes=sorted(caller.scopes),
        key_id=caller.key_id,
        user_id=caller.user_id,
        role=caller.role,
    )


@router.get("/keys")
async def list_keys(
    request: Request,
    caller: Annotated[Caller, Depends(require("admin"))],
    revoked: Annotated[bool, Query(description="Show revoked keys, too.")] = False,  # noqa: FBT002 - a query parameter
) -> KeysOut:
    """List the tenant's API keys, without their texts."""
    pool: Pool = request.app.state.api_pool
    async with transaction(pool, tenant_id=caller.tenant_id) as connection:
        found = await keys.list_keys(connection, caller.tenant_id, revoked=revoked)
    return KeysOut(items=[KeyOut.model_validate(key) for key in found], total=len(found))


@router.post("/keys", status_code=201)
async def create_key(
    request: Request, response: Response, body: KeyIn, caller: Annotated[Caller, Depends(require("admin"))]
) -> NewKeyOut:
    """Make an API key. Its text is in this answer and can't be had again."""
    pool: Pool = request.app.state.api_pool
    async with transaction(pool, tenant_id=caller.tenant_id) as connection:
        new = await keys.create_key(
            connection,
            caller.tenant_id,
            scopes=body.scopes,
            kind=body.kind,
            label=body.label,
            allowed_origins=body.allowed_origins,
        )
    response.headers["Cache-Control"] = "no-store"
    return NewKeyOut(key=new.key, **KeyOut.model_validate(new.api_key).model_dump())


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(request: Request, key_id: int, caller: Annotated[Caller, Depends(require("admin"))]) -> None:
    """Revoke an API key; it ends in every process within five seconds."""
    pool: Pool = request.app.state.api_pool
    async with transaction(pool, tenant_id=caller.tenant_id) as connection:
        await keys.revoke_key(connection, caller.tenant_id, key_id)


async def limit_address(request: Request, what: str, *, limit: int, window_s: int) -> None:
    """Take one attempt of the client's address at `what`. Raises RateLimitedError."""
    limiter: RateLimiter = request.app.state.limiter
    networks = parse_networks(request.app.state.settings.trusted_proxies)
    subject = f"{what}-from:{client_address(request.scope, networks)}"
    allowance = await limiter.take(subject, 1, limit=limit, window_s=window_s)
    if not allowance.allowed:
        raise RateLimitedError(
            "Too many attempts from this address.", retry_after_s=allowance.retry_after_s, headers=allowance.headers()
        )


async def _sign_in_body(request: Request) -> Credentials:
    """Read form or JSON, by content type; what was sent is never told back."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {FORM, "application/json"}:
        raise UnsupportedMediaTypeError(f"Send {FORM} or application/json.")
    body = await limited_body(request)
    try:
        return Credentials.model_validate(form_of(body)) if kind == FORM else Credentials.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False, include_url=False)) from None


def form_of(body: bytes) -> dict[str, str]:
    """Return the fields of a form; the OAuth2 name of the e-mail is one for it. Raises BadRequestError."""
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FORM_FIELDS))
    except ValueError as error:
        raise BadRequestError("The form can't be read.") from error
    if "username" in fields:
        fields["email"] = fields["username"]
    return fields


async def limited_body(request: Request) -> bytes:
    """Return a body of a few fields. Raises PayloadTooLargeError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_SIGN_IN_BYTES:
            raise PayloadTooLargeError("What is sent here is small.")
    return bytes(body)


def _user(signed_in: SignedIn) -> UserOut:
    user = signed_in.user
    return UserOut(id=user.id, email=user.email, name=user.name, role=user.role, tenant=signed_in.tenant)
