"""Models of users: feeds, structures and snapshots from a YAML or Python file, beside the built-in ones.

A Python file imports what it needs from here and leaves `FEEDS`, and `SNAPSHOTS` where there are any.
"""

from mainstem.events.model import RawEvent
from mainstem.vault.engine import (
    ZERO_KEY,
    Bridge,
    Column,
    EffectivityAt,
    EffectivitySatellite,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    PointInTime,
    RecordTracking,
    SameAsLink,
    Satellite,
    SatelliteAt,
    Step,
    hash_key,
)
from mainstem.vault.feed import Feed, RejectedError, StageSet
from mainstem.vault.model import EVENT_COLUMNS, HASHDIFF, LOAD_TS, META, RAW_ID, RSRC, TENANT, stage_event

__all__ = [
    "EVENT_COLUMNS",
    "HASHDIFF",
    "LOAD_TS",
    "META",
    "RAW_ID",
    "RSRC",
    "TENANT",
    "ZERO_KEY",
    "Bridge",
    "Column",
    "EffectivityAt",
    "EffectivitySatellite",
    "Feed",
    "Hub",
    "Link",
    "MultiActiveSatellite",
    "NonHistorisedLink",
    "PointInTime",
    "RawEvent",
    "RecordTracking",
    "RejectedError",
    "SameAsLink",
    "Satellite",
    "SatelliteAt",
    "StageSet",
    "Step",
    "hash_key",
    "stage_event",
]
