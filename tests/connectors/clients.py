"""Clients that are pointed at a sandbox, and what the tests of them share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from sandboxing import LOOPBACK, Town

from mainstem.connectors.calling import Patience
from mainstem.connectors.oauth import Access, Grant, TokenStore
from mainstem.connectors.ports import Plan, PlannedItem
from mainstem.connectors.revel.client import RevelClient
from mainstem.connectors.revel.desk import RevelRules
from mainstem.connectors.revel.orders import RevelSink
from mainstem.connectors.tripleseat.client import TripleseatSource
from mainstem.platform.outbound import Outbound

NEW_YORK = ZoneInfo("America/New_York")
QUICK = Patience(attempts=4, timeout_s=5, budget_s=20, backoff_s=0.01, longest_s=0.05)
HASTY = Patience(attempts=2, timeout_s=0.3, budget_s=5, backoff_s=0.01, longest_s=0.01)
"""For faults that hold the line: their end is not waited for."""


@asynccontextmanager
async def reaching() -> AsyncIterator[Outbound]:
    """Yield a client of loopback."""
    outbound = Outbound(LOOPBACK)
    try:
        yield outbound
    finally:
        await outbound.close()


def source_at(
    town: Town,
    outbound: Outbound,
    *,
    patience: Patience = QUICK,
    store: TokenStore | None = None,
    grant: Grant = Grant.CLIENT_CREDENTIALS,
    **access: Any,
) -> TripleseatSource:
    """Return a source that reads a sandbox."""
    settings = town.settings
    given = {
        "token_url": settings["TRIPLESEAT_TOKEN_URL"],
        "client_id": settings["TRIPLESEAT_OAUTH_CLIENT_ID"],
        "client_secret": settings["TRIPLESEAT_OAUTH_CLIENT_SECRET"],
        "grant": grant,
        **access,
    }
    return TripleseatSource.made(
        outbound,
        Access(**given),
        base_url=settings["TRIPLESEAT_BASE_URL"],
        zone=NEW_YORK,
        site_id=settings["TRIPLESEAT_SITE_ID"],
        store=store,
        patience=patience,
    )


def sink_at(
    town: Town, outbound: Outbound, *, patience: Patience = QUICK, key: str | None = None, **rules: Any
) -> RevelSink:
    """Return a sink that writes to a sandbox."""
    settings = town.settings
    client = RevelClient.made(
        outbound,
        base_url=settings["REVEL_BASE_URL"],
        api_key=key or settings["REVEL_API_KEY"],
        api_secret=settings["REVEL_API_SECRET"],
        patience=patience,
        calls_per_s=1_000,
    )
    return RevelSink(client, RevelRules(zone=NEW_YORK, **rules))


def plan_of(booked: dict[str, Any], **fields: Any) -> Plan:
    """Return the plan of an event that was booked in a sandbox."""
    local_id = booked["local_id"]
    starts_at = datetime.fromisoformat(booked["event"]["event_start_iso8601"])
    given: dict[str, Any] = {
        "local_id": local_id,
        "uuid": uuid5(NAMESPACE_URL, local_id),
        "establishment": str(booked["establishment"]),
        "title": booked["name"],
        "on": starts_at.date(),
        "starts_at": starts_at,
        "guests": 40,
        "notes": f"{booked['name']} (#{booked['id']})",
        "items": tuple(
            item(one["product"], one["quantity"], one["price"], one["product_name"]) for one in booked["items"]
        ),
        "total": Decimal(booked["total"]),
        "order_hash": "0" * 64,
        **fields,
    }
    return Plan(**given)


def item(
    product: int, quantity: object = 1, price: object = None, name: str = "Dish", note: str | None = None
) -> PlannedItem:
    return PlannedItem(
        product=str(product),
        name=name,
        quantity=Decimal(str(quantity)),
        price=None if price is None else Decimal(str(price)),
        note=note,
    )


def wanted(plan: Plan) -> dict[str, Decimal]:
    """Return the quantities of a plan by product."""
    found: dict[str, Decimal] = {}
    for one in plan.items:
        found[one.product] = found.get(one.product, Decimal(0)) + one.quantity
    return found


def window(hours: float = 48) -> tuple[datetime, datetime]:
    """Return the last hours."""
    now = datetime.now(UTC)
    return now - timedelta(hours=hours), now
