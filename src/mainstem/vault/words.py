"""What the columns of the built-in model mean, by name: COMMENT ON COLUMN in every table and view that has them."""

from types import MappingProxyType
from typing import Final

from mainstem.vault.engine.column import Column

COMMENTS: Final = MappingProxyType(
    {
        "tenant_id": "The tenant that the row belongs to: platform.tenant.",
        "load_ts": "Time of the load that brought the row; strictly increasing per lane.",
        "raw_id": "The raw event that brought the row: raw.event, while its day is kept.",
        "rsrc": "Where it came from: the source of the event.",
        "hashdiff": "Hash of the payload: a new row is stored when it differs from the last.",
        "visitor_hk": "Hash key of the visitor; 32 zero bytes: none.",
        "session_hk": "Hash key of the session; 32 zero bytes: none.",
        "page_hk": "Hash key of the page; 32 zero bytes: none.",
        "customer_hk": "Hash key of the customer; 32 zero bytes: none.",
        "campaign_hk": "Hash key of the campaign; 32 zero bytes: none.",
        "visitor_bk": "Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.",
        "session_bk": "The session id that the sender gave; null: none.",
        "page_bk": "The page: scheme, lower-case host and path, without query and fragment.",
        "customer_bk": "Random id of a person: its subject id, which says nothing about them.",
        "fields": "Names of the personal fields that came together.",
        "sealed": "The values of these fields, sealed by the person's own key.",
        "received_at": "When the event was accepted.",
        "event_uid": "Identity of the event: from its message id where the sender gave one.",
        "occurred_at": "When it happened, as the sender says, within the limits set for clocks.",
        "kind": "Kind of the event, in dotted words.",
        "flags": "Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server's agent, 8 no time given, 16 sealed personal data.",
        "subject": "What the event is about, in the words of its kind.",
        "data": "What the sender said, as it came.",
        "user_id": "The signed-in user's id that the sender gave.",
        "event_type": "What happened, in the sender's word: page_view, click, …",
        "page_url": "Address of the page, as sent.",
        "page_host": "Host of the page, in lower case.",
        "page_path": "Path of the page.",
        "page_title": "Title of the page at that moment.",
        "title": "Title of the page.",
        "referrer_url": "Address of the page before, where the browser tells it.",
        "referrer_host": "Host of the page before; null: none, or the site itself.",
        "channel": "How the visitor came: campaign, search, social, referral, internal or direct.",
        "utm_source": "utm_source of the address: who sent the visitor.",
        "utm_medium": "utm_medium of the address: by which means.",
        "utm_campaign": "utm_campaign of the address: for which campaign.",
        "utm_term": "utm_term of the address: for which search term.",
        "utm_content": "utm_content of the address: by which variant.",
        "device": "Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.",
        "os": "Operating system, as read from the user agent.",
        "browser": "Browser, as read from the user agent.",
        "is_bot": "Whether it is a program that only looks like a visitor.",
        "bot_reason": "Why it was judged to be a bot.",
        "ip": "Address after IP_MODE: truncated, salted, kept or null.",
        "language": "Language that the browser prefers.",
        "screen": "Size of the screen, width x height.",
        "properties": "Further properties that the sender gave.",
        "tracked_link_hk": "Hash key of the tracked link; 32 zero bytes: none.",
        "tracking_id": "Name of the tracked link within the tenant.",
        "link_id": "The link in links.tracked_link, as long as it is there; null: never registered.",
        "click_source": "Where the click was seen: redirect, or what the sender says.",
        "session_id": "The session that the sender gave; null: none.",
        "target_url": "Where the visitor was sent.",
        "user_agent": "The visitor's user agent, as sent.",
        "country": "Country of the address, ISO 3166-1 alpha-2, where a geo file is configured.",
        "city": "City of the address, where a geo file is configured.",
        "rule": "Number of the redirect rule that decided, from 1; null: none.",
        "variant": "Number of the variant of an A/B test that was shown, from 1; null: none.",
        "metadata": "What the sender added.",
        "host": "Host of the link's domain; null: the address of the hub itself.",
        "slug": "The path after the host's slash.",
        "link_title": "Title of the link.",
        "description": "What the link is for.",
        "tags": "Tags of the link, sorted, with commas.",
        "campaign": "Name of the link's campaign.",
        "link_function": "What the link does, in the words of the system that made it.",
        "link_type": "Kind of link, in the words of the system that made it.",
        "job_id": "Job that the link belongs to, in the words of the system that made it.",
        "application_id": "Application that the link belongs to, in the words of the system that made it.",
        "active": "Whether the link redirects.",
        "archived": "Whether lists leave the link out.",
        "deleted": "Whether the link was deleted.",
        "valid_since": "From when on the link redirects; null: at once.",
        "expires_at": "Until when the link redirects; null: for ever.",
        "click_limit": "Clicks after which the link leads elsewhere; null: any number.",
        "changed_by": "Who changed the link: key:<id>, user:<id> or cli.",
    }
)


def described(
    name: str, type_: str, *, required: bool = False, context: bool = False, source: str | None = None
) -> Column:
    """Return a column of the built-in model with its comment. Raises KeyError for a name without one."""
    return Column(name, type_, source=source, required=required, context=context, comment=COMMENTS[name])
