"""OAuth 2.0 as Tripleseat has it: codes, refresh tokens and client credentials, and who may call what."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

SCOPES: Final = ("events:read", "bookings:read", "locations:read", "webhooks:write")
_CODE_LIFETIME_S: Final = 600


class GrantError(Exception):
    """A request for a token that is refused; `code` is OAuth's word for it."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        """Keep the word, the sentence and the status."""
        super().__init__(description)
        self.code, self.description, self.status = code, description, status


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that holds until `expires_at`, in seconds of the Unix epoch."""

    scopes: frozenset[str]
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Code:
    redirect_uri: str
    scopes: frozenset[str]
    expires_at: float
    challenge: str | None


class OAuth:
    """One client and its tokens."""

    def __init__(self, seed: int) -> None:
        """Make the client's credentials from the seed."""
        self._seed, self._made = seed, 0
        self.client_id = self._secret("client id")[:32]
        self.client_secret = self._secret("client secret")
        self._tokens: dict[str, Token] = {}
        self._refreshes: dict[str, frozenset[str]] = {}
        self._codes: dict[str, _Code] = {}

    def _secret(self, purpose: str) -> str:
        self._made += 1
        return sha256(f"tripleseat {purpose} {self._seed} {self._made}".encode()).hexdigest()

    def authorize(self, given: Mapping[str, str], now: float) -> str:
        """Return a code for the parameters of a request, as after an administrator's consent. Raises GrantError."""
        redirect_uri = given.get("redirect_uri")
        if given.get("client_id") != self.client_id:
            raise GrantError("invalid_client", "Client authentication failed.", 401)
        if given.get("response_type") != "code":
            raise GrantError("unsupported_response_type", "The response type is not supported.")
        if not redirect_uri:
            raise GrantError("invalid_request", "Missing required parameter: redirect_uri.")
        challenge = given.get("code_challenge")
        if challenge is not None and given.get("code_challenge_method") != "S256":
            raise GrantError("invalid_request", "The code challenge method must be S256.")
        code = self._secret("code")
        self._codes[code] = _Code(redirect_uri, _scopes(given.get("scope", "")), now + _CODE_LIFETIME_S, challenge)
        return code

    def grant(self, form: Mapping[str, str], lifetime_s: float, now: float) -> dict[str, Any]:
        """Return the answer to a request for a token. Raises GrantError.

        A code serves once. A refresh token serves once, too: the answer has the next. Client credentials get none.
        """
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            raise GrantError("invalid_client", "Client authentication failed.", 401)
        match form.get("grant_type"):
            case "authorization_code":
                code = self._codes.pop(form.get("code", ""), None)
                if code is None or code.expires_at <= now or code.redirect_uri != form.get("redirect_uri"):
                    raise GrantError("invalid_grant", "The authorization code is invalid, expired or not for this URI.")
                if code.challenge is not None and code.challenge != _challenge(form.get("code_verifier", "")):
                    raise GrantError("invalid_grant", "The code verifier does not fit.")
                return self._issue(code.scopes, lifetime_s, now, refreshable=True)
            case "refresh_token":
                scopes = self._refreshes.pop(form.get("refresh_token", ""), None)
                if scopes is None:
                    raise GrantError("invalid_grant", "The refresh token is invalid or was used before.")
                return self._issue(scopes, lifetime_s, now, refreshable=True)
            case "client_credentials":
                return self._issue(_scopes(form.get("scope", "")), lifetime_s, now, refreshable=False)
            case _:
                raise GrantError("unsupported_grant_type", "The grant type is not supported.")

    def _issue(self, scopes: frozenset[str], lifetime_s: float, now: float, *, refreshable: bool) -> dict[str, Any]:
        access = self._secret("access token")
        self._tokens[access] = Token(scopes, now + lifetime_s)
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(lifetime_s),
            "scope": " ".join(sorted(scopes)),
            "created_at": int(now),
        }
        if refreshable:
            refresh = self._secret("refresh token")
            answer["refresh_token"] = refresh
            self._refreshes[refresh] = scopes
        return answer

    def token(self, authorization: str | None, now: float) -> Token | None:
        """Return the token of an Authorization header while it holds."""
        kind, _, access = (authorization or "").partition(" ")
        token = self._tokens.get(access.strip()) if kind.lower() == "bearer" else None
        return token if token is not None and token.expires_at > now else None

    def revoke_all(self) -> None:
        """Let no access token hold any longer; refresh tokens stay."""
        self._tokens.clear()


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _scopes(text: str) -> frozenset[str]:
    wanted = frozenset(text.split()) or frozenset(SCOPES)
    if unknown := wanted - frozenset(SCOPES):
        raise GrantError("invalid_scope", f"The requested scope is unknown: {' '.join(sorted(unknown))}.")
    return wanted
