"""Names of time zones: IANA's, and those that Rails, which Tripleseat is made with, gives to the zones of its customers. Pure."""

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RAILS: Final = {
    "Hawaii": "Pacific/Honolulu",
    "Alaska": "America/Anchorage",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Arizona": "America/Phoenix",
    "Mountain Time (US & Canada)": "America/Denver",
    "Central Time (US & Canada)": "America/Chicago",
    "Eastern Time (US & Canada)": "America/New_York",
    "Indiana (East)": "America/Indiana/Indianapolis",
    "Atlantic Time (Canada)": "America/Halifax",
    "Newfoundland": "America/St_Johns",
    "Saskatchewan": "America/Regina",
    "Puerto Rico": "America/Puerto_Rico",
    "Mexico City": "America/Mexico_City",
    "Dublin": "Europe/Dublin",
    "Edinburgh": "Europe/London",
    "London": "Europe/London",
    "Amsterdam": "Europe/Amsterdam",
    "Berlin": "Europe/Berlin",
    "Madrid": "Europe/Madrid",
    "Paris": "Europe/Paris",
    "Sydney": "Australia/Sydney",
    "Melbourne": "Australia/Melbourne",
    "Auckland": "Pacific/Auckland",
}
_LONGEST: Final = 64


@lru_cache(maxsize=256)
def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(_RAILS.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_of(name: object) -> ZoneInfo | None:
    """Return a zone by a name of either kind; None: there is no such zone."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        return None
    return _named(name.strip())
