"""Whether a token is meant for this hub. Asked after its signature was verified, so what it says is what was signed."""

from collections.abc import Set as AbstractSet

import jwt

from mainstem.platform import tokens
from mainstem.platform.settings import Settings


def meant_for(token: str, audiences: AbstractSet[str]) -> bool:
    """Tell whether the `aud` of a verified token names one of the audiences.

    A token that names nobody may be used wherever its issuer is believed, so it proves no consent to use it here.
    """
    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("aud")
    except jwt.PyJWTError:
        return False
    words = named if isinstance(named, list) else [named]
    return any(isinstance(word, str) and word in audiences for word in words)


def audiences_of(settings: Settings, base: str) -> frozenset[str]:
    """Return the audiences that mean this hub: its tokens' own, its address, and the one set for Better Auth."""
    named = (tokens.AUDIENCE, base, f"{base}/mcp", settings.better_auth_audience)
    return frozenset(one for one in named if one)
