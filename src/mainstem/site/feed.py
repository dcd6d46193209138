"""The feed of site events: which kinds, how they are staged, and what the business layer makes of a stage."""

from mainstem.platform.db import load_queries
from mainstem.site.digest import DIGEST_TABLES, SiteDigest
from mainstem.site.stage import stage
from mainstem.vault.feed import Feed
from mainstem.vault.model import SITE_COLUMNS, SITE_STRUCTURES

SITE_FEED = Feed(
    name="site",
    kinds=("page.*", "site.*"),
    columns=SITE_COLUMNS,
    stage=stage,
    structures=SITE_STRUCTURES,
    business=tuple(load_queries("mainstem.site", "load.sql").values()),
    digest=SiteDigest,
    digest_tables=DIGEST_TABLES,
)
