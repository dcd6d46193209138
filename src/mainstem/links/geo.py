"""Country and city of an address, by a MaxMind database that the operator provides (GEOIP_FILE)."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import maxminddb
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)
_CACHED: Final = 8_192
_CHARACTERS: Final = 100


class Place(NamedTuple):
    """Where an address is; None: not known."""

    country: str | None
    """ISO 3166-1 alpha-2."""
    city: str | None
    """English name."""


NOWHERE: Final = Place(None, None)


def locator(file: Path | None) -> "Callable[[str | None], Place]":
    """Return a function from an address to its place; without a usable file it knows none, and the log says so."""
    if file is None:
        return lambda _: NOWHERE
    try:
        reader: Any = maxminddb.open_database(file)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        log.warning("geo_file_unusable", file=str(file), reason=str(error))
        return lambda _: NOWHERE

    @lru_cache(maxsize=_CACHED)
    def place_of(ip: str | None) -> Place:
        try:
            found = None if ip is None else reader.get(ip)
        except (ValueError, maxminddb.InvalidDatabaseError):
            found = None
        if not isinstance(found, dict):
            return NOWHERE
        country = (found.get("country") or found.get("registered_country") or {}).get("iso_code")
        city = ((found.get("city") or {}).get("names") or {}).get("en")
        return Place(_text(country), _text(city))

    return place_of


def _text(value: object) -> str | None:
    return value[:_CHARACTERS] if isinstance(value, str) and value else None
