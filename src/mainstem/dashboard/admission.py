"""Who may open a live connection, from where, and until when.

A token may come in the headers (`Authorization`, `X-API-Key`), as the subprotocol `bearer.<token>`, which a browser can
send, or in the address (`?token=`). It is nowhere logged or kept: of a connection only its caller and the token's end are known.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from mainstem.dashboard.clients import POLICY_VIOLATION, Clients, RefusedError
from mainstem.platform.addresses import normalize_origin, origin_allowed
from mainstem.platform.auth import INVALID, MISSING, Admission, Authenticator, credentials
from mainstem.platform.settings import Settings

_BEARER: Final = "bearer."
_SCOPE: Final = "read"
_MOST_PARAMETERS: Final = 20


def credential(scope: Mapping[str, Any]) -> str | None:
    """Return the key or token of a handshake, None when there is none."""
    found = credentials(scope["headers"])
    if found is not None:
        return found
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(_BEARER) and len(protocol) > len(_BEARER):
            return str(protocol.removeprefix(_BEARER))
    try:
        query = parse_qs(bytes(scope.get("query_string", b"")).decode("latin-1"), max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return None
    return next(iter(query.get("token", ())), None)


def subprotocol(offered: Sequence[str]) -> str | None:
    """Return what to answer to the offered subprotocols: a browser takes no answer for a refusal.

    The first that carries no token; one with a token only where there is no other.
    """
    plain = [protocol for protocol in offered if not protocol.startswith(_BEARER)]
    return next(iter([*plain, *offered]), None)


def check_origin(scope: Mapping[str, Any], settings: Settings) -> None:
    """Let pages of this host, of PUBLIC_URL and of CORS_ORIGINS in, and whoever is no browser. Raises RefusedError."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in {b"origin", b"host"}}
    origin = headers.get(b"origin")
    if origin is None:
        return
    own = [] if settings.public_url is None else [settings.public_url]
    if _is_of_host(origin, headers.get(b"host", "")) or origin_allowed(origin, [*settings.cors_origins, *own]):
        return
    raise RefusedError("Pages of this origin may not connect.", why="origin", code=POLICY_VIOLATION)


def _is_of_host(origin: str, host: str) -> bool:
    # a proxy that ends TLS hides the scheme, so only host and port are compared
    for scheme in ("http", "https"):
        try:
            if normalize_origin(origin) == normalize_origin(f"{scheme}://{host}"):
                return True
        except ValueError:
            return False
    return False


async def admit(scope: Mapping[str, Any], authenticator: Authenticator) -> Admission:
    """Return who connects. Raises RefusedError, and UnavailableError when credentials can't be checked."""
    given = credential(scope)
    if given is None:
        raise RefusedError(MISSING, why="missing", code=POLICY_VIOLATION)
    admission = await authenticator.admit(given)
    if admission is None or ends_now(admission.expires_at):
        raise RefusedError(INVALID, why="invalid", code=POLICY_VIOLATION)
    if _SCOPE not in admission.caller.scopes:
        raise RefusedError(f"This needs the scope {_SCOPE}.", why="scope", code=POLICY_VIOLATION)
    return admission


def ends_now(expires_at: int | None) -> bool:
    """Tell whether a token is at its end."""
    return expires_at is not None and expires_at <= time.time()


async def close_ended(clients: Clients, authenticator: Authenticator) -> None:
    """Close the connections of keys and users that may not read any more, and of tokens that ended.

    Each token's end has a timer of its own; here it counts that clocks are set. Raises what the database raises.
    """
    callers = {client.caller.credential: client.caller for client in clients}
    if not callers:
        return
    still = await authenticator.still(callers.values())
    for client in clients:
        caller = still.get(client.caller.credential)
        if ends_now(client.expires_at):
            client.end(POLICY_VIOLATION, "The token has expired.", why="expired")
        elif client.caller.credential not in callers:
            continue  # came while the database was asked
        elif caller is None or caller.tenant_id != client.caller.tenant_id or _SCOPE not in caller.scopes:
            client.end(POLICY_VIOLATION, "This key or user may not read any more.", why="revoked")
