"""What every feature brings: feeds, checks and metrics. Only the composition root knows them all."""

from pathlib import Path
from typing import Final

import asyncpg

from mainstem.connectors.checks import CHECKS as CONNECTOR_CHECKS
from mainstem.connectors.feed import CONNECTOR_FEED
from mainstem.connectors.measures import METRICS as CONNECTOR_METRICS
from mainstem.links.checks import CHECKS as LINK_CHECKS
from mainstem.links.feed import FEEDS as LINK_FEEDS
from mainstem.platform.minute_measures import METRICS as MINUTE_METRICS
from mainstem.platform.settings import Settings
from mainstem.site import SITE_FEED
from mainstem.site.checks import CHECKS as SITE_CHECKS
from mainstem.tasks.feed import TASK_FEED
from mainstem.vault.custom import files
from mainstem.vault.custom.active import ModelSource
from mainstem.vault.feed import Feed
from mainstem.vault.measures import METRICS as VAULT_METRICS
from mainstem.vault.model import EVENT_FEED
from mainstem.webhooks.measures import METRICS as WEBHOOK_METRICS

FEEDS: Final = (SITE_FEED, *LINK_FEEDS, CONNECTOR_FEED, TASK_FEED, EVENT_FEED)
"""Every feed of the product: only the composition root knows them all."""

CHECKS: Final = (*SITE_CHECKS, *LINK_CHECKS, *CONNECTOR_CHECKS)
"""What `mainstem vault check` asks beside the rules of the model and the ledger."""


METRICS: Final = (*MINUTE_METRICS, *VAULT_METRICS, *WEBHOOK_METRICS, *CONNECTOR_METRICS)
"""What alert rules can look at."""

_CONNECT_TIMEOUT_S: Final = 10


def model_source(settings: Settings) -> ModelSource:
    """Return what says which feeds are loaded; the settings name the data folder in use."""
    return ModelSource(FEEDS, files.find(settings.vault_model, settings.data_dir))


async def feeds_in_force(settings: Settings, dsn: str, data_dir: Path) -> tuple[Feed, ...]:
    """Return the feeds that loaders follow now: the built-in ones and those of the applied model."""
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        found = await model_source(settings.model_copy(update={"data_dir": data_dir}))(connection)
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT_S)
    return found.feeds
