"""What the tests of the rebuild share: a history with everything in it, and ways to look at all of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from siting import FEEDS, GOOGLEBOT, raw_event
from vault.vaulting import START, append

from mainstem.events.model import NewEvent
from mainstem.events.sealing import Sealer
from mainstem.pii.box import Keyring
from mainstem.platform.ids import event_uid, uuid7
from mainstem.vault.loader import Loader
from mainstem.vault.rebuild import Plan, Report, rebuild

TABLES = (
    "vault.event_seen vault.hub_visitor vault.hub_session vault.hub_page vault.hub_campaign vault.lnk_session_visitor "
    "vault.sat_page vault.sat_visitor_device vault.nhl_site_event vault.nhl_event vault.hub_customer "
    "vault.lnk_customer_visitor vault.sat_customer_site_pii vault.sat_customer_pii business.session business.site_hour "
    "business.visitor_day business.site_day vault.hub_tracked_link vault.sat_tracked_link vault.nhl_click "
    "vault.sat_customer_click_pii business.link_time business.link_day business.link_visitor_day business.link_total "
    "business.missed_day vault.hub_booking vault.hub_booking_site vault.hub_calendar_day vault.hub_pos_order "
    "vault.lnk_booking_schedule vault.lnk_booking_pos_order vault.sat_booking vault.msat_booking_line "
    "vault.esat_booking_takes_place vault.rts_booking_presence vault.sat_pos_order vault.sat_customer_booking_pii "
    "business.booking_day business.booking_counted"
).split()
OF_TASKS = (
    "vault.hub_task vault.sat_task vault.lnk_task_booking vault.lnk_task_pos_order vault.lnk_task_visitor "
    "vault.lnk_task_tracked_link vault.sat_customer_task_pii"
).split()
"""Empty in this history: `tests/tasks/test_tasks_replayed.py` replays one of tasks."""
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


def visit(minute: float, number: int = 0, *, message: str | None = None, **fields: object) -> NewEvent:
    """Return an accepted page view; `fields` replace columns, `title` and `page` go into its data."""
    page, title = fields.pop("page", number % 5), fields.pop("title", f"T{number % 3}")
    data = {"page_url": f"https://example.com/{page}?utm_source=s{number % 2}", "page_title": title}
    event = raw_event(data, visitor=f"v:{number % 4}", occurred_at=NOW + timedelta(minutes=minute))._replace(**fields)
    uid = uuid7() if message is None else event_uid(event.tenant_id, "site", message)
    return NewEvent(*event._replace(received_at=NOW, event_uid=uid, message_id=message)[1:])


def linked(kind: str, number: int, **data: object) -> NewEvent:
    """Return an event about one of three links: a click, a change, or a visit that met none."""
    told = {
        "tracking_id": f"l{number % 3}",
        "slug": f"p{number % 2}",
        "target_url": f"https://example.com/{number % 2}",
        **data,
    }
    event = visit(number * 11, number, kind=f"link.{kind}", data=json.dumps(told))
    return event._replace(subject=None if kind == "missed" else f"l{number % 3}")


def booked(kind: str, number: int, **data: object) -> NewEvent:
    """Return what a connector says of one of three bookings, or of its order."""
    booking_id = str(number % 3)
    told = {
        "connector": "tripleseat",
        "booking_id": booking_id,
        "site_id": "4",
        "establishment": "12",
        "local_id": f"Triple Seat_{booking_id}",
        "on": f"2026-05-0{number % 4 + 1}",
        "status": "DEFINITE",
        "lines": [{"line_id": str(line), "name": f"Item {line}", "quantity": number} for line in range(number % 3)],
        "total": f"{number}.50",
        "version": number,
        **data,
    }
    event = visit(number, number, kind=kind, data=json.dumps(told), visitor=None)
    return event._replace(source="connector:tripleseat", subject=f"booking:{booking_id}")


def other(number: int, tenant_id: int = 1) -> NewEvent:
    """Return an event of a kind that no feed of its own takes."""
    return visit(number, number, kind="order.noted", tenant_id=tenant_id, data=json.dumps({"n": number}))


async def land(connection: asyncpg.Connection, events: Sequence[NewEvent]) -> int:
    """Commit events of one tenant as one batch."""
    return await append(connection, [event._replace(received_at=START) for event in events])


async def load(dsn: str, **options: object) -> None:
    """Load until nothing waits, as the product does: what is personal and not yet sealed is sealed before."""
    one = Loader(dsn, FEEDS, sealer=Sealer(["email"], Keyring(bytes(32))), **options)
    while await one.load_once():
        pass


async def history(connection: asyncpg.Connection, dsn: str) -> None:
    """Land and load a history of two tenants: late events, repeats, refusals by stage and database, bots, replays."""
    await connection.execute("insert into platform.tenant (slug, name) values ('two', 'Two')")
    for tenant_id in (1, 2):
        await land(connection, [visit(n * 7 % 50, n, tenant_id=tenant_id, message=f"m{n}") for n in range(30)])
    await load(dsn)
    await land(connection, [visit(n, n, message=f"m{n}", title="A") for n in range(25, 40)])
    await land(
        connection, [visit(200, 1, subject="s1"), visit(90, 1, subject="s1"), visit(100, 2, user_agent=GOOGLEBOT)]
    )
    await land(connection, [visit(1, data="[]"), other(1), visit(2, 9, page="x\ud800"), other(2)])
    await land(connection, [other(3, tenant_id=2), visit(60, 3, tenant_id=2), visit(95, 1, tenant_id=2)])
    await load(dsn)
    for start in (0, 5, 0):
        await land(
            connection,
            [
                linked("clicked", n, metadata={"email": "cleo@example.com"} if n == 3 else None)
                for n in range(start, 12)
            ],
        )
        await land(
            connection, [linked(kind, start + n) for n, kind in enumerate(("created", "updated", "missed", "deleted"))]
        )
        await load(dsn)
    for email in ("anna@example.com", "bert@example.com", "anna@example.com"):
        people = [
            visit(400, 1, data=json.dumps({"page_url": "https://example.com/me", "event_data": {"email": email}}))
        ]
        await land(connection, [*people, other(4)._replace(data=json.dumps({"email": email}))])
        await load(dsn)
    for versions in ((1, 2, 3), (7, 8, 9), (6, 4, 5)):
        await land(connection, [booked("booking.updated", n, email="dora@example.com") for n in versions])
        await land(connection, [booked("order.injected", n, order_id=f"R{n}") for n in versions])
        await load(dsn)
    # large enough for the other way of loading
    await land(connection, [visit(n % 90, n, message=f"l{n % 600}", subject=f"s{n % 50}") for n in range(700)])
    await load(dsn)
    for title in ("A", "B", "A"):
        await land(connection, [visit(300, 3, title=title, page=3), visit(20 if title == "B" else 310, 2)])
        await load(dsn, claim_events=1)
    refused = await connection.fetch("select rejected_id from staging.rejected")
    await connection.execute("select vault.replay($1)", [row[0] for row in refused])
    await load(dsn)


async def rows(connection: asyncpg.Connection, table: str) -> list[str]:
    """Return the rows of a table as texts, sorted."""
    return [row[0] for row in await connection.fetch(f"select t::text from {table} t order by 1")]


async def everything(connection: asyncpg.Connection, prefix: str = "") -> dict[str, list[str]]:
    """Return all rows of the vault and the business layer; of a shadow with `prefix`."""
    return {table: await rows(connection, prefix + table) for table in TABLES}


async def rebuilt(dsn: str, **options: object) -> Report:
    """Rebuild with the product's feeds; options of `Plan`, and `decide`, `archives`, `progress`."""
    outer = {name: options.pop(name) for name in ("decide", "archives", "progress") if name in options}
    return await rebuild(dsn, FEEDS, Plan(**options), **outer)
