"""Keys of what several feeds name: visitors and campaigns. Pure, and the same wherever they are named, so that facts meet."""

from functools import lru_cache
from typing import Final

from mainstem.platform.web.text import clean, clip_key
from mainstem.vault.engine import ZERO_KEY, hash_key
from mainstem.vault.model import SITE

MAX_ID_CHARACTERS: Final = 256
_CACHED: Final = 16_384


@lru_cache(maxsize=_CACHED)
def visitor_key(tenant_id: int, text: str) -> tuple[bytes, str]:
    """Return the hash key and the business key of a visitor."""
    key = clip_key(clean(text), MAX_ID_CHARACTERS)
    return hash_key(tenant_id, SITE, key), key


@lru_cache(maxsize=_CACHED)
def campaign_key(tenant_id: int, source: str | None, medium: str | None, campaign: str | None) -> bytes:
    """Return the hash key of a campaign, the zero key when nothing is named."""
    if source is None and medium is None and campaign is None:
        return ZERO_KEY
    return hash_key(tenant_id, SITE, source, medium, campaign)
