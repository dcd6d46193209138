"""The whole vault on one page: its hubs, links, facts and satellites, and the stages that feed them.

Migrations 0003, 0005, 0010, 0015 and 0017 hold the same tables as plain SQL; a test compares the two. Every key starts with the tenant,
and the tenant is inside every hash too, so equal business keys of two tenants never meet.
"""

from mainstem.events.model import RawEvent
from mainstem.vault.clean import clean_json
from mainstem.vault.customers import CUSTOMER_COLUMNS, SUBJECT, customer_of
from mainstem.vault.engine import ZERO_KEY
from mainstem.vault.engine.spec import (
    Column,
    EffectivitySatellite,
    Hub,
    Link,
    MultiActiveSatellite,
    NonHistorisedLink,
    RecordTracking,
    Satellite,
)
from mainstem.vault.feed import BASE_COLUMNS, Feed, base_row
from mainstem.vault.words import described

SITE = "site"
"""Collision code of everything that site events name: visitors, sessions, pages, campaigns."""

LINK = "link"
"""Collision code of tracked links."""

CONNECTOR = "connector"
"""Collision code of bookings and their sites."""

POS = "pos"
"""Collision code of the orders that connectors make."""

TASK = "task"
"""Collision code of tasks."""

DAY = "day"
"""Collision code of days."""

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

CONNECTOR_COLUMNS: tuple[tuple[str, str], ...] = (
    *EVENT_COLUMNS,
    ("booking_hk", "bytea"),
    ("booking_site_hk", "bytea"),
    ("calendar_day_hk", "bytea"),
    ("pos_order_hk", "bytea"),
    ("connector", "text"),
    ("site_id", "text"),
    ("booking_id", "text"),
    ("establishment", "text"),
    ("local_id", "text"),
    ("version", "int8"),
    ("tells_booking", "bool"),
    ("booking_name", "text"),
    ("takes_place_on", "date"),
    ("status", "text"),
    ("guests", "int4"),
    ("total", "numeric"),
    ("cancelled", "bool"),
    ("present", "bool"),
    ("lines", "jsonb"),
    ("tells_order", "bool"),
    ("order_state", "text"),
    ("order_id", "text"),
    ("order_hash", "text"),
    ("reason", "text"),
)
"""Stage of what connectors say of bookings and orders; `tells_…` is null where an event says nothing of the one or the other."""

TASK_COLUMNS: tuple[tuple[str, str], ...] = (
    *EVENT_COLUMNS,
    ("task_hk", "bytea"),
    ("booking_hk", "bytea"),
    ("pos_order_hk", "bytea"),
    ("visitor_hk", "bytea"),
    ("tracked_link_hk", "bytea"),
    ("task_uid", "text"),
    ("tells_task", "bool"),
    ("task_id", "int4"),
    ("task_version", "int8"),
    ("task_status", "text"),
    ("task_priority", "text"),
    ("task_due_at", "timestamptz"),
    ("recurrence", "text"),
    ("occurrence", "int4"),
    ("owner_id", "text"),
    ("assignee_id", "text"),
    ("task_completed_at", "timestamptz"),
    ("task_deleted", "bool"),
    ("acted_by", "text"),
    ("connector", "text"),
    ("site_id", "text"),
    ("booking_id", "text"),
    ("establishment", "text"),
    ("local_id", "text"),
    ("visitor_bk", "text"),
    ("tracking_id", "text"),
    *((f"tells_{name}", "bool") for name in ("booking", "order", "visitor", "link")),
)
"""Stage of changes of tasks; `tells_…` is null where an event does not say that the task is about such a thing."""

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

HUB_BOOKING = Hub(
    table="vault.hub_booking",
    comment="Bookings by connector, site and the id that the system has for them that they come from.",
    key=(TENANT, _key("booking")),
    business_key=tuple(described(name, "text", required=True) for name in ("connector", "site_id", "booking_id")),
    collision_code=CONNECTOR,
    meta=META,
    indexes=(("tenant_id", "booking_id"),),
)
HUB_BOOKING_SITE = Hub(
    table="vault.hub_booking_site",
    comment="Sites of bookings by connector and the id that the system has for them that the bookings come from.",
    key=(TENANT, _key("booking_site")),
    business_key=tuple(described(name, "text", required=True) for name in ("connector", "site_id")),
    collision_code=CONNECTOR,
    meta=META,
)
HUB_CALENDAR_DAY = Hub(
    table="vault.hub_calendar_day",
    comment="Days on which bookings take place, in the zone of their site.",
    key=(TENANT, _key("calendar_day")),
    business_key=(described("day", "date", source="takes_place_on", required=True),),
    collision_code=DAY,
    meta=META,
)
HUB_POS_ORDER = Hub(
    table="vault.hub_pos_order",
    comment="Orders that connectors make, by connector, establishment and their name in the point of sale.",
    key=(TENANT, _key("pos_order")),
    business_key=tuple(described(name, "text", required=True) for name in ("connector", "establishment", "local_id")),
    collision_code=POS,
    meta=META,
    indexes=(("tenant_id", "local_id"),),
)
LNK_BOOKING_SCHEDULE = Link(
    table="vault.lnk_booking_schedule",
    comment="On which days, at which site bookings were to take place.",
    key=(TENANT, _key("booking"), _key("booking_site"), _key("calendar_day")),
    references=(_key("booking"), _key("booking_site"), _key("calendar_day")),
    meta=META,
    indexes=(("tenant_id", "calendar_day_hk", "booking_site_hk", "booking_hk"),),
)
ESAT_BOOKING_TAKES_PLACE = EffectivitySatellite(
    table="vault.esat_booking_takes_place",
    comment="From when to when a booking was to take place on which day.",
    of="vault.lnk_booking_schedule",
    key=LNK_BOOKING_SCHEDULE.key,
    driving_key=(TENANT, _key("booking")),
    secondary_key=(_key("booking_site"), _key("calendar_day")),
    start=described("starts_at", "timestamptz", required=True),
    end=described("ends_at", "timestamptz", required=True),
    effective_from=described("effective_from", "timestamptz", source="received_at", required=True),
    # by version first: a day that was said of an older reading, and comes late, never takes the place of a newer one
    version=(described("version", "int8", required=True), LOAD_TS, RAW_ID),
    meta=(RSRC,),
    needs=("tells_booking",),
    order=("version", "raw_id"),
    in_order=True,
)
LNK_BOOKING_POS_ORDER = Link(
    table="vault.lnk_booking_pos_order",
    comment="Which orders were made of which bookings.",
    key=(TENANT, _key("booking"), _key("pos_order")),
    references=(_key("booking"), _key("pos_order")),
    meta=META,
    indexes=(("tenant_id", "pos_order_hk", "booking_hk"),),
)
SAT_BOOKING = Satellite(
    table="vault.sat_booking",
    comment="What was said of a booking over time, whichever reading of it came first.",
    key=(TENANT, _key("booking")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(
        described("version", "int8", required=True),
        *_texts("booking_name"),
        described("takes_place_on", "date"),
        *_texts("status"),
        described("guests", "int4"),
        described("total", "numeric"),
        described("cancelled", "bool"),
        *_texts("establishment"),
    ),
    needs=("tells_booking",),
    newest_by=("version",),
)
MSAT_BOOKING_LINE = MultiActiveSatellite(
    table="vault.msat_booking_line",
    comment="Lines of a booking over time: one set for each reading that told them.",
    of="vault.hub_booking",
    key=(TENANT, _key("booking")),
    child_key=(described("line_id", "text", required=True),),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(
        described("version", "int8", required=True),
        *_texts("line_name"),
        described("quantity", "numeric"),
        described("unit_price", "numeric"),
    ),
    newest_by=("version",),
)
RTS_BOOKING_PRESENCE = RecordTracking(
    table="vault.rts_booking_presence",
    comment="When a booking was seen, and when it was found cancelled or deleted.",
    of="vault.hub_booking",
    key=(TENANT, _key("booking")),
    version=(LOAD_TS, RAW_ID),
    meta=(RSRC,),
    payload=(described("version", "int8", required=True), described("present", "bool", required=True)),
    needs=("tells_booking",),
    newest_by=("version",),
)
SAT_POS_ORDER = Satellite(
    table="vault.sat_pos_order",
    comment="What became of an order over time.",
    key=(TENANT, _key("pos_order")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(
        described("version", "int8", required=True),
        *_texts("order_state", "order_id", "order_hash"),
        described("total", "numeric"),
        *_texts("reason"),
    ),
    needs=("tells_order",),
    newest_by=("version",),
)

HUB_TASK = Hub(
    table="vault.hub_task",
    comment="Tasks by their uid; what they say is in no table here but the sealed satellite.",
    key=(TENANT, _key("task")),
    business_key=(described("task_uid", "text", required=True),),
    collision_code=TASK,
    meta=META,
)
SAT_TASK = Satellite(
    table="vault.sat_task",
    comment="Where a task stood over time, whichever change of it came first.",
    key=(TENANT, _key("task")),
    version=(LOAD_TS, RAW_ID),
    hashdiff=HASHDIFF,
    meta=(RSRC,),
    payload=(
        described("task_version", "int8", required=True),
        described("task_id", "int4"),
        *_texts("task_status", "task_priority"),
        described("task_due_at", "timestamptz"),
        *_texts("recurrence"),
        described("occurrence", "int4"),
        *_texts("owner_id", "assignee_id"),
        described("task_completed_at", "timestamptz"),
        described("task_deleted", "bool"),
        *_texts("acted_by"),
    ),
    needs=("tells_task",),
    newest_by=("task_version",),
)


def _task_link(other: str, name: str, comment: str) -> Link:
    return Link(
        table=f"vault.lnk_task_{other}",
        comment=comment,
        key=(TENANT, _key("task"), _key(other)),
        references=(_key("task"), _key(other)),
        meta=META,
        needs=(f"tells_{name}",),
        indexes=(("tenant_id", f"{other}_hk", "task_hk"),),
    )


LNK_TASK_BOOKING = _task_link("booking", "booking", "Which bookings tasks were about.")
LNK_TASK_POS_ORDER = _task_link("pos_order", "order", "Which orders tasks were about.")
LNK_TASK_VISITOR = _task_link("visitor", "visitor", "Which visitors tasks were about.")
LNK_TASK_TRACKED_LINK = _task_link("tracked_link", "link", "Which tracked links tasks were about.")

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
SAT_CUSTOMER_BOOKING_PII = _sealed_satellite(
    "vault.sat_customer_booking_pii",
    "Personal data in what connectors say over time, sealed: a history for each set of fields that is sent together.",
)
SAT_CUSTOMER_TASK_PII = _sealed_satellite(
    "vault.sat_customer_task_pii",
    "What people wrote in their tasks over time, sealed: a history for each set of fields that is sent together.",
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
CONNECTOR_STRUCTURES = (
    *GENERAL,
    SAT_CUSTOMER_BOOKING_PII,
    HUB_BOOKING,
    HUB_BOOKING_SITE,
    HUB_CALENDAR_DAY,
    HUB_POS_ORDER,
    LNK_BOOKING_SCHEDULE,
    LNK_BOOKING_POS_ORDER,
    SAT_BOOKING,
    MSAT_BOOKING_LINE,
    ESAT_BOOKING_TAKES_PLACE,
    RTS_BOOKING_PRESENCE,
    SAT_POS_ORDER,
)
TASK_STRUCTURES = (
    *GENERAL,
    SAT_CUSTOMER_TASK_PII,
    HUB_TASK,
    SAT_TASK,
    HUB_BOOKING,
    HUB_POS_ORDER,
    HUB_VISITOR,
    HUB_TRACKED_LINK,
    LNK_TASK_BOOKING,
    LNK_TASK_POS_ORDER,
    LNK_TASK_VISITOR,
    LNK_TASK_TRACKED_LINK,
)
STRUCTURES = (
    *SITE_STRUCTURES,
    NHL_EVENT,
    SAT_CUSTOMER_PII,
    HUB_TRACKED_LINK,
    SAT_TRACKED_LINK,
    NHL_CLICK,
    SAT_CUSTOMER_CLICK_PII,
    *CONNECTOR_STRUCTURES[len(GENERAL) :],
    SAT_CUSTOMER_TASK_PII,
    HUB_TASK,
    SAT_TASK,
    LNK_TASK_BOOKING,
    LNK_TASK_POS_ORDER,
    LNK_TASK_VISITOR,
    LNK_TASK_TRACKED_LINK,
)

READERS = ("mainstem_api", "mainstem_worker")
"""Database roles that read the views."""
TAKEN = (
    *("session", "site_hour", "site_day", "visitor_day", "pipeline_total", "pipeline_minute"),
    *("link_time", "link_day", "link_visitor_day", "link_total", "missed_day", "link_clicks"),
    *("booking_day", "booking_counted"),
)
"""Tables of the schema `business`: no view can have their names."""


def stage_event(event: RawEvent) -> tuple[object, ...]:
    """Return the row of EVENT_COLUMNS of any event."""
    customer = customer_of(event)
    return (*base_row(event), event.subject, clean_json(event.data), customer[0] or ZERO_KEY, *customer)


EVENT_FEED = Feed(name="event", kinds=("*",), columns=EVENT_COLUMNS, stage=stage_event, structures=EVENT_STRUCTURES)
"""The feed of whatever no other feed takes."""
