"""What is written about a click, by the redirect and by those who send clicks in, and read by the stage.

A click is an event `link.clicked` whose subject is the tracking id, or `link.missed` where no link was met. Address,
user agent and visitor are fields of the event itself, as everywhere.
"""

from typing import Final

import msgspec

CLICKED: Final = "link.clicked"
MISSED: Final = "link.missed"
SOURCE: Final = "links"
"""Source of the clicks that the redirect saw; senders of clicks have the source `tracking-ingest`."""


class Click(msgspec.Struct, omit_defaults=True, gc=False, kw_only=True):
    """The data of an event `link.clicked` or `link.missed`."""

    tracking_id: str | None = None
    """Absent in link.missed only."""
    link_id: int | None = None
    """Absent where a sender's tracking id belongs to no link."""
    host: str | None = None
    """Host of the link's domain; absent for the address of the hub itself."""
    slug: str | None = None
    """Of link.missed: the path that was asked for, at most 300 characters."""
    missed: str | None = None
    """Of link.missed, in Shlink's words: base_url, invalid_short_url or regular_404."""
    target_url: str | None = None
    """Where the visitor was sent."""
    click_source: str | None = None
    """`redirect`, or what the sender says (`external_domain` when it says nothing)."""
    referrer_url: str | None = None
    session_id: str | None = None
    metadata: dict[str, object] | None = None
    label: str | None = None
    """`prefetch` or `preview`: a browser or a program looked ahead; such a click is counted with those of bots."""
    rule: int | None = None
    """Number of the redirect rule that decided, from 1."""
    variant: int | None = None
    """Number of the variant of an A/B test that was shown, from 1."""
    country: str | None = None
    """ISO 3166-1 alpha-2, where a geo file is configured."""
    city: str | None = None
    language: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
