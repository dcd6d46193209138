"""Access that a person gives once: an admin signs in at the source, and the code that comes back is exchanged for tokens.

The authorization code grant of RFC 6749 with PKCE (RFC 7636, S256). A state is 256 random bits, is kept as its digest, holds for ten
minutes and serves once, so that nobody has a code of his own account taken in.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, urlsplit

from mainstem.connectors.oauth import TokenKeeper
from mainstem.connectors.tokens import SealedStore
from mainstem.platform.errors import MainstemError

_BYTES: Final = 32
_SEPARATOR: Final = "."
_LONGEST: Final = 2_048


class SignInError(MainstemError):
    """The sign-in was not begun here, is over, or was refused at the source: begin again."""

    code = "sign_in_failed"
    status = 400


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for its code."""

    url: str
    """Where an admin of the source signs in. It holds the state: it is for that person alone."""
    redirect_uri: str
    expires_at: datetime


class SignIn:
    """Signs one connector in."""

    def __init__(
        self, connector: str, keeper: TokenKeeper, store: SealedStore, login_url: str, redirect_uri: str
    ) -> None:
        """Keep the parts. `redirect_uri`: exactly as the application at the source names it."""
        self.redirect_uri = redirect_uri
        self.store = store
        self._connector = connector
        self._keeper = keeper
        self._login_url = login_url

    async def begin(self, by: str) -> Begun:
        """Begin a sign-in. Raises UpstreamError when it can't be kept now, SignInError without a redirect address."""
        if not self.redirect_uri:
            msg = "There is no address to come back to: set TRIPLESEAT_REDIRECT_URI as the application at the source names it."
            raise SignInError(msg)
        state = f"{self._connector}{_SEPARATOR}{secrets.token_urlsafe(_BYTES)}"
        verifier = secrets.token_urlsafe(_BYTES)
        expires_at = await self.store.begin(state, verifier, self.redirect_uri, by)
        url = self._keeper.authorize_url(state, self._login_url, challenge=challenge_of(verifier))
        return Begun(url, self.redirect_uri, expires_at)

    async def end(self, state: str, code: str) -> None:
        """Exchange the code that came back with a state. Raises SignInError, UpstreamError."""
        began = await self.store.take(state)
        if began is None or not code:
            msg = "This sign-in was not begun here, is over, or was used: begin again."
            raise SignInError(msg)
        await self._keeper.exchange(code, verifier=began.verifier, redirect_uri=began.redirect_uri)

    async def is_done(self) -> bool:
        """Tell whether there are tokens. Raises UpstreamError."""
        return await self.store.load() is not None


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier (RFC 7636, 4.2, S256)."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def connector_of(state: str) -> str:
    """Return whose sign-in a state is of, as it says."""
    return state.rpartition(_SEPARATOR)[0] if len(state) <= _LONGEST else ""


def code_of(address: str) -> tuple[str, str]:
    """Return (state, code) of the address at which a browser came back. Raises SignInError."""
    query = parse_qs(urlsplit(address.strip()).query)
    state, code = query.get("state", [""])[0], query.get("code", [""])[0]
    if not state or not code:
        error = query.get("error", ["no code"])[0]
        shown = error if error.isidentifier() and len(error) <= 40 else "no code"
        msg = f"The source did not give a code: {shown}."
        raise SignInError(msg)
    return state, code
