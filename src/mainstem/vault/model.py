"""The whole vault on one page: its hubs, links, facts and satellites, and the stages that feed them.

Migrations 0003, 0005 and 0010 hold the same tables as plain SQL; a test compares the two. Every key starts with the tenant,
and the tenant is inside every hash too, so equal business keys of two tenants never meet.
"""

from mainstem.events.model import RawEvent
from mainstem.vault.clean import clean_json
from mainstem.vault.customers import CUSTOMER_COLUMNS, SUBJECT, customer_of
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.engine.spec import Column, Hub, Link, NonHistorisedLink, Satellite
from mainstem.vault.feed import BASE_COLUMNS, Feed, base_row
from mainstem.vault.words import described

SITE = "site"
"""Collision code of everything that site events name: visitors, sessions, pages, campaigns."""

LINK = "link"
"""Collision code of tracked links."""

SITE_COLUMNS: tuple[tuple[str, str], ...] = (
    *BASE_COLUMNS,
    ("visitor_hk", "bytea"),
    ("visitor_bk", "text"),
    ("session_hk", "bytea"),
    ("session_bk", "text"),
    ("page_hk", "bytea"),
    ("page_bk", "text"),
    ("campaign_hk", "bytea"),
    ("utm_source", "text"),
    ("utm_medium", "text"),
    ("utm_campaign", "text"),
    ("utm_term", "text"),
    ("utm_content", "text"),
    ("user_id", "text"),
    ("event_type", "text"),
    ("page_url", "text"),
    ("page_host", "text"),
    ("page_path", "text"),
    ("page_title", "text"),
    ("referrer_url", "text"),
    ("referrer_host", "text"),
    ("channel", "text"),
    ("device", "text"),
    ("os", "text"),
    ("browser", "text"),
    ("is_bot", "bool"),
    ("bot_reason", "text"),
    ("ip", "text"),
    ("language", "text"),
    ("screen", "text"),
    ("properties", "jsonb"),
    *CUSTOMER_COLUMNS,
)
"""Stage of site events. Keys without a thing behind them (no session, no page, no utm_*) are ZERO_KEY, never null."""

EVENT_COLUMNS: tuple[tuple[str, str], ...] = (
    *BASE_COLUMNS,
    ("subject", "text"),
    ("data", "jsonb"),
    ("about_hk", "bytea"),
    *CUSTOMER_COLUMNS,
)
"""Stage of all events that no other feed takes, and first columns of every feed of a user; `about_hk` is the customer's key, ZERO_KEY when there is none."""

CLICK_COLUMNS: tuple[tuple[str, str], ...] = (
    *BASE_COLUMNS,
    ("tracked_link_hk", "bytea"),
    ("tracking_id", "text"),
    ("visitor_hk", "bytea"),
    ("visitor_bk", "text"),
    ("campaign_hk", "bytea"),
    ("utm_source", "text"),
    ("utm_medium", "text"),
    ("utm_campaign", "text"),
    ("utm_term", "text"),
    ("utm_content", "text"),
    ("link_id", "int8"),
    ("click_source", "text"),
    ("session_id", "text"),
    ("target_url", "text"),
    ("referrer_url", "text"),
    ("referrer_host", "text"),
    ("channel", "text"),
    ("device", "text"),
    ("os", "text"),
    ("browser", "text"),
    ("is_bot", "bool"),
    ("bot_reason", "text"),
    ("ip", "text"),
    ("user_agent", "text"),
    ("country", "text"),
    ("city", "text"),
    ("language", "text"),
    ("rule", "int2"),
    ("variant", "int2"),
    ("metadata", "jsonb"),
    *CUSTOMER_COLUMNS,
)
"""Stage of clicks on tracked links."""

LINK_COLUMNS: tuple[tuple[str, str], ...] = (
    *EVENT_COLUMNS,
    ("tracked_link_hk", "bytea"),
    ("tracking_id", "text"),
    ("host", "text"),
    ("slug", "text"),
    ("target_url", "text"),
    ("link_title", "text"),
    ("description", "text"),
    ("tags", "text"),
    ("campaign", "text"),
    ("link_function", "text"),
    ("link_type", "text"),
    ("job_id", "text"),
    ("application_id", "text"),
    ("active", "bool"),
    ("archived", "bool"),
    ("deleted", "bool"),
    ("valid_since", "timestamptz"),
    ("expires_at", "timestamptz"),
    ("click_limit", "int8"),
    ("changed_by", "text"),
)
"""Stage of changes of tracked links."""

TENANT = described("tenant_id", "int4", required=True)
LOAD_TS = described("load_ts", "timestamptz", required=True, context=True)
RAW_ID = described("raw_id", "int8", required=True)
RSRC = described("rsrc", "text", required=True)
META = (LOAD_TS, RSRC)
FACT_KEY = (
    TENANT,
    # before the uid, so that new rows go to the end of the index, whatever the uids look like
    described("received_at", "timestamptz", required=True),
    described("event_uid", "uuid", required=True),
)
FACT_META = (
    described("occurred_at", "timestamptz", required=True),
    LOAD_TS,
    RAW_ID,
    RSRC,
    described("kind", "text", required=True),
    described("flags", "int2", required=True),
)


HASHDIFF = described("hashdiff", "bytea", required=True)


def _key(name: str) -> Column:
    return described(f"{name}_hk", "bytea", required=True)


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(described(name, "text") for name in names)


HUB_VISITOR = Hub(
    table="vault.hub_visitor",
    comment="Visitors by the key made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.",
    key=(TENANT, _key("visitor")),
    business_key=(described("visitor_bk", "text", required=True),),
    meta=META,
    collision_code=SITE,
)
HUB_SESSION = Hub(
    table="vault.hub_session",
    comment="Sessions by the session id that the sender gave.",
    key=(TENANT, _key("session")),
    business_key=(described("session_bk", "text", required=True),),
    meta=META,
    collision_code=SITE,
)
HUB_PAGE = Hub(
    table="vault.hub_page",
    comment="Pages by scheme, lower-case host and path; query and fragment are no part of a page.",
    key=(TENANT, _key("page")),
    business_key=(described("page_bk", "text", required=True),),
    meta=META,
    collision_code=SITE,
)
HUB_CAMPAIGN = Hub(
    table="vault.hub_campaign",
    comment="Campaigns by utm_source, utm_medium and utm_campaign; a part that was not given is null.",
    key=(TENANT, _key("campaign")),
    business_key=_texts("utm_source", "utm_medium", "utm_campaign"),
    meta=META,
    collision_code=SITE,
)
LNK_SESSION_VISITOR = Link(
    table="vault.lnk_session_visitor",
    comment="Which visitors a session was seen with; more than one when a visitor signed in on the way.",
    key=(TENANT, _key("session"), _key("visitor")),
    references=(_key("session"), _key("visitor")),
    meta=META,
    indexes=(("tenant_id", "visitor_hk", "session_hk"),),
)
SAT_PAGE = Satellite(
    table="vault.sat_page",
    comment="Title of a page over time, as visitors' browsers reported it.",
    key=(TENANT, _key("page")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(described("title", "text", source="page_title"),),
    needs=("page_title",),
)
SAT_VISITOR_DEVICE = Satellite(
    table="vault.sat_visitor_device",
    comment="Device of a visitor over time, as read from the user agent.",
    key=(TENANT, _key("visitor")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(*_texts("device", "os", "browser"), described("is_bot", "bool"), *_texts("bot_reason")),
    needs=("device",),
)
NHL_SITE_EVENT = NonHistorisedLink(
    table="vault.nhl_site_event",
    comment="Site events: page views, clicks and whatever else the site's pages send.",
    key=FACT_KEY,
    references=(_key("visitor"), _key("session"), _key("page"), _key("campaign")),
    meta=FACT_META,
    payload=(
        *_texts("session_bk", "user_id", "event_type", "page_url", "page_host", "page_path", "page_title"),
        *_texts("referrer_url", "referrer_host", "channel", "utm_source", "utm_medium", "utm_campaign", "utm_term"),
        *_texts("utm_content", "device", "os", "browser"),
        described("is_bot", "bool"),
        *_texts("bot_reason", "ip", "language", "screen"),
        described("properties", "jsonb"),
    ),
    partition_by="received_at",
    gated=True,
)
NHL_EVENT = NonHistorisedLink(
    table="vault.nhl_event",
    comment="Events of all other kinds, as they came.",
    key=FACT_KEY,
    references=(described("customer_hk", "bytea", source="about_hk", required=True),),
    meta=FACT_META,
    payload=(described("subject", "text"), described("data", "jsonb", required=True)),
    partition_by="received_at",
    gated=True,
    indexes=(("tenant_id", "kind", "occurred_at"),),
)

HUB_CUSTOMER = Hub(
    table="vault.hub_customer",
    comment="People by their random subject id; who that is, only their sealed satellite says.",
    key=(TENANT, _key("customer")),
    business_key=(described("customer_bk", "text", required=True),),
    collision_code=SUBJECT,
    meta=META,
    needs=("customer_hk",),
)
LNK_CUSTOMER_VISITOR = Link(
    table="vault.lnk_customer_visitor",
    comment="Which visitors said who they are, and who they said.",
    key=(TENANT, _key("customer"), _key("visitor")),
    references=(_key("customer"), _key("visitor")),
    meta=META,
    needs=("customer_hk",),
    indexes=(("tenant_id", "visitor_hk", "customer_hk"),),
)


def _sealed_satellite(table: str, comment: str) -> Satellite:
    return Satellite(
        table=table,
        comment=comment,
        key=(TENANT, _key("customer"), described("fields", "text", source="customer_fields", required=True)),
        version=(LOAD_TS, RAW_ID),
        meta=(RSRC,),
        payload=(described("sealed", "jsonb", source="customer_sealed"),),
        # of the fingerprints: the sealed texts differ even where the values are equal
        hashdiff=described("hashdiff", "bytea", source="customer_hashdiff", required=True),
        hashdiff_from="stage",
        of="vault.hub_customer",
        needs=("customer_hk",),
        in_views=False,
    )


HUB_TRACKED_LINK = Hub(
    table="vault.hub_tracked_link",
    comment="Tracked links by their tracking id: those that were made here, and whatever senders of clicks name.",
    key=(TENANT, _key("tracked_link")),
    business_key=(described("tracking_id", "text", required=True),),
    collision_code=LINK,
    meta=META,
)
SAT_TRACKED_LINK = Satellite(
    table="vault.sat_tracked_link",
    comment="What was said of a tracked link over time: where it led, whose it was, whether it was there.",
    key=(TENANT, _key("tracked_link")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(
        *_texts("host", "slug", "target_url", "link_title", "description", "tags", "campaign"),
        *_texts("link_function", "link_type", "job_id", "application_id"),
        *(described(name, "bool") for name in ("active", "archived", "deleted")),
        *(described(name, "timestamptz") for name in ("valid_since", "expires_at")),
        described("click_limit", "int8"),
        *_texts("changed_by"),
    ),
)
NHL_CLICK = NonHistorisedLink(
    table="vault.nhl_click",
    comment="Clicks on tracked links, seen by the redirect or sent in by others.",
    key=FACT_KEY,
    references=(_key("tracked_link"), _key("visitor"), _key("campaign")),
    meta=FACT_META,
    payload=(
        described("tracking_id", "text", required=True),
        described("link_id", "int8"),
        *_texts("click_source", "session_id", "target_url", "referrer_url", "referrer_host", "channel"),
        *_texts("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "device", "os", "browser"),
        described("is_bot", "bool"),
        *_texts("bot_reason", "ip", "user_agent", "country", "city", "language"),
        *(described(name, "int2") for name in ("rule", "variant")),
        described("metadata", "jsonb"),
    ),
    partition_by="received_at",
    gated=True,
    # newest first, of a tenant and of a link
    indexes=(("tenant_id", "occurred_at"), ("tenant_id", "tracking_id", "occurred_at")),
)

# one per feed: the rows of a satellite are told apart within one stage
SAT_CUSTOMER_SITE_PII = _sealed_satellite(
    "vault.sat_customer_site_pii",
    "Personal data in site events over time, sealed: a history for each set of fields that is sent together.",
)
SAT_CUSTOMER_PII = _sealed_satellite(
    "vault.sat_customer_pii",
    "Personal data in all other events over time, sealed: a history for each set of fields that is sent together.",
)
SAT_CUSTOMER_CLICK_PII = _sealed_satellite(
    "vault.sat_customer_click_pii",
    "Personal data in clicks over time, sealed: a history for each set of fields that is sent together.",
)
SITE_STRUCTURES = (
    HUB_VISITOR,
    HUB_SESSION,
    HUB_PAGE,
    HUB_CAMPAIGN,
    LNK_SESSION_VISITOR,
    SAT_PAGE,
    SAT_VISITOR_DEVICE,
    NHL_SITE_EVENT,
    HUB_CUSTOMER,
    LNK_CUSTOMER_VISITOR,
    SAT_CUSTOMER_SITE_PII,
)
GENERAL = (NHL_EVENT, HUB_CUSTOMER)
"""What every feed of events that are not the site's loads, whatever it has of its own."""
EVENT_STRUCTURES = (*GENERAL, SAT_CUSTOMER_PII)
CLICK_STRUCTURES = (
    HUB_TRACKED_LINK,
    HUB_VISITOR,
    HUB_CAMPAIGN,
    NHL_CLICK,
    HUB_CUSTOMER,
    LNK_CUSTOMER_VISITOR,
    SAT_CUSTOMER_CLICK_PII,
)
LINK_STRUCTURES = (*GENERAL, HUB_TRACKED_LINK, SAT_TRACKED_LINK)
STRUCTURES = (
    *SITE_STRUCTURES,
    NHL_EVENT,
    SAT_CUSTOMER_PII,
    HUB_TRACKED_LINK,
    SAT_TRACKED_LINK,
    NHL_CLICK,
    SAT_CUSTOMER_CLICK_PII,
)

READERS = ("mainstem_api", "mainstem_worker")
"""Database roles that read the views."""
TAKEN = (
    *("session", "site_hour", "site_day", "visitor_day", "pipeline_total", "pipeline_minute"),
    *("link_time", "link_day", "link_visitor_day", "link_total", "missed_day", "link_clicks"),
)
"""Tables of the schema `business`: no view can have their names."""


def stage_event(event: RawEvent) -> tuple[object, ...]:
    """Return the row of EVENT_COLUMNS of any event."""
    customer = customer_of(event)
    return (*base_row(event), event.subject, clean_json(event.data), customer[0] or ZERO_KEY, *customer)


EVENT_FEED = Feed(name="event", kinds=("*",), columns=EVENT_COLUMNS, stage=stage_event, structures=EVENT_STRUCTURES)
"""The feed of whatever no other feed takes."""
