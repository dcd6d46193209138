"""Site tracking: page views and whatever else a site's pages send, as visitors, sessions and roll-ups.

The door: the feed for the loader, and `process` for "load now". Beside it stand `routes.build_router` (the API),
`receive.site_event` (what the front calls), `access_log` (imports) and `tracker` (browsers).
"""

from mainstem.site.feed import SITE_FEED
from mainstem.site.read import ProcessResult, process

__all__ = ["SITE_FEED", "ProcessResult", "process"]
