"""The Data Vault engine: frozen specs in, DDL and set-based load SQL out. Knows no table of ours."""

from mainstem.vault.engine.compat import COMPAT, Compat
from mainstem.vault.engine.ddl import create_table, stage_table
from mainstem.vault.engine.ghosts import ghost_rows
from mainstem.vault.engine.hashing import BROKEN_KEY, INJECTIVE, ZERO_KEY, HashProfile, hash_key
from mainstem.vault.engine.load import load_statement, load_statements
from mainstem.vault.engine.snapshot import Bridge, EffectivityAt, PointInTime, SatelliteAt, Snapshot, Step
from mainstem.vault.engine.snapshots import rebuild_statements, snapshot_statement
from mainstem.vault.engine.spec import (
    Column,
    EffectivitySatellite,
    ExtendedTracking,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    SameAsLink,
    Satellite,
    Structure,
    Tracked,
)
from mainstem.vault.engine.stage import Derived, Hashed, Stage, stage_rows

__all__ = [
    "BROKEN_KEY",
    "COMPAT",
    "INJECTIVE",
    "ZERO_KEY",
    "Bridge",
    "Column",
    "Compat",
    "Derived",
    "EffectivityAt",
    "EffectivitySatellite",
    "ExtendedTracking",
    "HashProfile",
    "Hashed",
    "Hub",
    "Link",
    "MultiActiveSatellite",
    "NonHistorisedLink",
    "PointInTime",
    "RecordTracking",
    "SameAsLink",
    "Satellite",
    "SatelliteAt",
    "Snapshot",
    "Stage",
    "Step",
    "Structure",
    "Tracked",
    "create_table",
    "ghost_rows",
    "hash_key",
    "load_statement",
    "load_statements",
    "rebuild_statements",
    "snapshot_statement",
    "stage_rows",
    "stage_table",
]
