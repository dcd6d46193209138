"""Access to a source: OAuth2 tokens, got by client credentials or by a code and refreshed, one renewal at a time.

Which of the two grants an account may use is the source's choice, so that both are here, and the address is a setting. Tokens
are kept by a store, for a refresh token that is used once must not be lost: a new one is saved before it is used. Secrets stand in no
sentence and no repr.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from mainstem.connectors.calling import Caller, Reply, Request
from mainstem.connectors.ports import UpstreamError
from mainstem.platform.clock import utc_now

_USUAL_LIFE_S: Final = 7_200.0
_MARGIN_S: Final = 60.0
_ERROR: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)


class Grant(StrEnum):
    """How tokens are got."""

    CLIENT_CREDENTIALS = "client_credentials"
    AUTHORIZATION_CODE = "authorization_code"
    """An admin of the account signs in once; from then on tokens are refreshed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client proves itself with."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    grant: Grant = Grant.CLIENT_CREDENTIALS
    scope: str | None = None
    redirect_uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What opens the API, and until when."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    renew_at: datetime
    """A little before they end."""


class TokenStore(Protocol):
    """Keeps tokens, sealed if they leave the process."""

    async def load(self) -> Tokens | None:
        """Return what was saved last."""

    async def save(self, tokens: Tokens) -> None:
        """Keep tokens in place of the former."""

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Hold all others off while tokens are renewed, those of other processes too if they share the store."""


class MemoryStore:
    """Keeps tokens as long as the process lives: enough for client credentials."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        """Begin with tokens, or none."""
        self._tokens = tokens
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        """Return what was saved last."""
        return self._tokens

    async def save(self, tokens: Tokens) -> None:
        """Keep tokens in place of the former."""
        self._tokens = tokens

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Hold the others of this process off."""
        return self._lock


class TokenKeeper:
    """Hands out a token that is good, and gets a new one when it must."""

    def __init__(self, caller: Caller, access: Access, store: TokenStore) -> None:
        """Keep the parts; nothing is asked before the first call."""
        self._caller = caller
        self._access = access
        self._store = store
        self._tokens: Tokens | None = None
        self._renewal: asyncio.Task[Tokens] | None = None
        self._unsaved: Tokens | None = None

    async def token(self) -> str:
        """Return an access token. Raises UpstreamError when there is none to be had."""
        tokens = self._tokens
        if tokens is None or tokens.renew_at <= utc_now():
            tokens = await self._renewed(None)
        return tokens.access_token

    async def renew(self, refused: str) -> str:
        """Return another token than one that was refused. Raises UpstreamError."""
        return (await self._renewed(refused)).access_token

    async def exchange(self, code: str, *, verifier: str | None = None, redirect_uri: str | None = None) -> None:
        """Get the first tokens for the code that an admin's sign-in gave. Raises UpstreamError.

        `verifier`: of the challenge that the sign-in began with. `redirect_uri`: as it was sent there; that of the access when absent.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri or self._access.redirect_uri or "",
            **({"code_verifier": verifier} if verifier else {}),
        }
        async with self._store.lock():
            await self._keep(await self._fetched(form, None))

    def authorize_url(self, state: str, login_url: str, *, challenge: str | None = None) -> str:
        """Return where an admin signs in; `state` comes back with the code and must be compared."""
        query = {
            "response_type": "code",
            "client_id": self._access.client_id,
            "redirect_uri": self._access.redirect_uri or "",
            "scope": self._access.scope or "",
            "state": state,
            **({"code_challenge": challenge, "code_challenge_method": "S256"} if challenge else {}),
        }
        return f"{login_url}?{urlencode({name: value for name, value in query.items() if value})}"

    async def _renewed(self, refused: str | None) -> Tokens:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renewing(refused), name="connector tokens")
        # whoever waits may be called off; a refresh token that was used and not saved would be lost for good
        return await asyncio.shield(self._renewal)

    async def _renewing(self, refused: str | None) -> Tokens:
        async with self._store.lock():
            if self._unsaved is not None:
                await self._keep(self._unsaved)
            stored = await self._store.load()
            if stored is None or stored.access_token == refused or stored.renew_at <= utc_now():
                return await self._keep(await self._fetched(self._form(stored), stored))
            self._tokens = stored
            return stored

    async def _keep(self, tokens: Tokens) -> Tokens:
        """Save tokens, then use them: the former refresh token serves no more, so what can't be saved now is saved first next time."""
        self._unsaved = tokens
        await self._store.save(tokens)
        self._tokens, self._unsaved = tokens, None
        return tokens

    def _form(self, stored: Tokens | None) -> dict[str, str]:
        if self._access.grant is Grant.CLIENT_CREDENTIALS:
            return {"grant_type": "client_credentials"} | ({"scope": self._access.scope} if self._access.scope else {})
        if stored is None or stored.refresh_token is None:
            raise UpstreamError(
                "The source has not been authorised yet: an admin of the account has to sign in, see `mainstem connector authorize`."
            )
        return {"grant_type": "refresh_token", "refresh_token": stored.refresh_token}

    async def _fetched(self, form: Mapping[str, str], former: Tokens | None) -> Tokens:
        access = self._access
        body = urlencode({**form, "client_id": access.client_id, "client_secret": access.client_secret}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request("POST", access.token_url, headers, body)
        at = utc_now()
        reply = await self._caller.ask(request)
        return _tokens(reply, request.shown, at, former)


def _tokens(reply: Reply, call: str, at: datetime, former: Tokens | None) -> Tokens:
    given: Mapping[str, Any] = reply.json if isinstance(reply.json, Mapping) else {}
    if reply.status >= 400:
        # the word is one of RFC 6749's; sentences beside it may quote what was sent
        word = given.get("error")
        shown = f" {word}" if isinstance(word, str) and _ERROR.fullmatch(word) else ""
        raise UpstreamError(f"{call}: It gives no token ({reply.status}{shown}).", status=reply.status)
    token = given.get("access_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise UpstreamError(f"{call}: Its answer has no access_token.", status=reply.status)
    refresh = given.get("refresh_token")
    if not isinstance(refresh, str) or not refresh:
        # an answer that names none leaves the former in force (RFC 6749, 6)
        refresh = None if former is None else former.refresh_token
    life = given.get("expires_in")
    life_s = float(life) if isinstance(life, int | float) and not isinstance(life, bool) and life > 0 else _USUAL_LIFE_S
    life_s = min(life_s, 30 * 86_400.0)
    return Tokens(
        access_token=token,
        refresh_token=refresh,
        renew_at=at + timedelta(seconds=life_s - min(_MARGIN_S, life_s / 10)),
    )
