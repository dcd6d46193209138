"""What the hot path needs of the rest, wired once by the composition root."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from mainstem.events.intake import Intake
from mainstem.events.sealing import Sealer
from mainstem.links.cache import LinkCache
from mainstem.links.clicks import Clicks
from mainstem.platform.auth import Authenticator
from mainstem.platform.db import Pool
from mainstem.platform.limits import RateLimiter
from mainstem.platform.settings import Settings
from mainstem.vault.waiter import LoadWaiter


@dataclass(slots=True, kw_only=True)
class Services:
    """The parts of a running process that the hot path uses."""

    settings: Settings
    intake: Intake
    authenticator: Authenticator
    limiter: RateLimiter
    waiter: LoadWaiter
    pool: Pool
    sealer: Sealer
    links: LinkCache
    clicks: Clicks
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    visitor_secret: bytes
    ip_secret: bytes
