"""The cache: values by region and key, loaded once, dropped in every process when what they are made of changes.

    shown = await cache.get("dashboard", key(tenant_id, "overview"), lambda: load_overview(pool, tenant_id))

In the transaction that changes what an entry is made of: `await cache.invalidate_in(connection, "dashboard", "7:*")`, or the
function `invalidate_in` where no cache is at hand. Every process hears of it once the transaction is committed.

Promises: a value is never older than CACHE_TTL_SECONDS, nor than a change that this process has heard of, also when it was
being loaded at that moment; after `Cache.invalidate`, and after the commit of `Cache.invalidate_in`, this process reads nothing
older; while no connection listens for changes nothing is kept; one load of a key is under way at a time. Redis, when there is
one, changes none of this.

In return: a loader opens a transaction of its own after it was called, and never reads through the cache, for its value would
be older than it seems. Opened secrets and personal data have no place in it. The guide is docs/guides/cache.md.
"""

from mainstem.platform.cache.cache import CHANNEL, Cache, invalidate_in
from mainstem.platform.cache.changes import ANY, Change, key
from mainstem.platform.cache.figures import Counts, Figures
from mainstem.platform.cache.members import Member

__all__ = ["ANY", "CHANNEL", "Cache", "Change", "Counts", "Figures", "Member", "invalidate_in", "key"]
