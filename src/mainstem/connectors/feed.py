"""The feed of connectors: bookings and orders into the vault, and what the business layer makes of them."""

from typing import Final

from mainstem.connectors.stage import stage_connector
from mainstem.platform.db import load_queries
from mainstem.vault.feed import Feed, StageSet
from mainstem.vault.model import CONNECTOR_COLUMNS, CONNECTOR_STRUCTURES, MSAT_BOOKING_LINE

SOURCES: Final = "connector:*"
"""Sources of the events of connectors: the word, and the connector's name."""

CONNECTOR_FEED = Feed(
    name="connector",
    kinds=("booking.*", "order.*"),
    # everybody has bookings and orders: those of other sources are no matter of ours
    sources=(SOURCES,),
    columns=CONNECTOR_COLUMNS,
    stage=stage_connector,
    structures=CONNECTOR_STRUCTURES,
    business=tuple(load_queries("mainstem.connectors", "load.sql").values()),
    sets=(
        StageSet(
            table=MSAT_BOOKING_LINE.table,
            column="lines",
            columns=(("line_id", "text"), ("line_name", "text"), ("quantity", "numeric"), ("unit_price", "numeric")),
        ),
    ),
)
"""Events of connectors, whichever pair of systems they are between."""
