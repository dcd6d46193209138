"""Helpers of the tests of webhooks: endpoints and deliveries as rows, made in SQL."""

import json
from collections.abc import Sequence

import asyncpg

DOCUMENTED = "public, api, business, staging, platform"
"""The search path that migration 0004 sets for every database that is not a copy."""


async def add_endpoint(connection: asyncpg.Connection, name: str = "shop", tenant: int = 1, **columns: object) -> int:
    """Insert an endpoint; return its id."""
    row = {"tenant_id": tenant, "name": name, "url": "https://hooks.example/in", **columns}
    if row.get("active") is False:
        row["disabled_reason"] = "By the test."
    values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    names = ", ".join(row)
    off = ", disabled_at" if row.get("active") is False else ""
    made = await connection.fetchval(
        f"insert into webhooks.endpoint ({names}{off}) values ({values}{', now()' if off else ''}) returning endpoint_id",
        *row.values(),
    )
    await connection.execute("insert into webhooks.endpoint_created values ($1, $2)", made, tenant)
    await connection.execute(
        "insert into webhooks.endpoint_total (endpoint_id, tenant_id) values ($1, $2)", made, tenant
    )
    return made


async def add_deliveries(
    connection: asyncpg.Connection,
    endpoint_id: int,
    count: int = 1,
    *,
    status: str = "pending",
    kind: str = "order.paid",
    made: str = "now()",
    data: object = None,
) -> Sequence[int]:
    """Insert messages and their deliveries, counted and where they wait queued; return the ids, the first made first."""
    text = json.dumps(data if data is not None else {"total": 5})
    rows = await connection.fetch(
        f"""
        with kept as (
          insert into webhooks.message (tenant_id, event_uid, kind, source, subject, occurred_at, received_at, created_at, data)
          select e.tenant_id, gen_random_uuid(), $3, 'test', null, {made}, {made}, {made}, $4::json
          from webhooks.endpoint e cross join generate_series(1, $2) where e.endpoint_id = $1
          returning message_id, tenant_id, event_uid
        ), made as (
          insert into webhooks.delivery (tenant_id, endpoint_id, message_id, event_uid, kind, status, attempts, created_at,
                                         finished_at)
          select tenant_id, $1, message_id, event_uid, $3, $5, case when $5 = 'pending' then 0 else 1 end, {made},
                 case when $5 in ('delivered', 'failed') then now() end
          from kept order by message_id
          returning delivery_id, tenant_id
        ), queued as (
          insert into webhooks.queue (delivery_id, endpoint_id, lane, attempt)
          select delivery_id, $1, case when $5 = 'pending' then 0 else 1 end, case when $5 = 'pending' then 0 else 1 end
          from made where $5 in ('pending', 'retrying')
        )
        select delivery_id from made order by delivery_id
        """,
        endpoint_id,
        count,
        kind,
        text,
        status,
    )
    await connection.execute(
        "update webhooks.endpoint_created set deliveries = deliveries + $2 where endpoint_id = $1", endpoint_id, count
    )
    await connection.execute(
        """update webhooks.endpoint_total set delivered = delivered + case when $3 = 'delivered' then $2::integer else 0 end,
             failed = failed + case when $3 = 'failed' then $2::integer else 0 end where endpoint_id = $1""",
        endpoint_id,
        count,
        status,
    )
    return [row["delivery_id"] for row in rows]


async def counters(connection: asyncpg.Connection, endpoint_id: int) -> tuple[int, int, int]:
    """Return (waiting, delivered, failed) by the counters, after a look at whether the rows say the same."""
    told = await connection.fetchrow(
        """select c.deliveries - t.delivered - t.failed as waiting, t.delivered, t.failed
           from webhooks.endpoint_created c join webhooks.endpoint_total t using (endpoint_id) where endpoint_id = $1""",
        endpoint_id,
    )
    seen = await connection.fetchrow(
        """select count(*) filter (where status in ('pending', 'retrying')), count(*) filter (where status = 'delivered'),
             count(*) filter (where status = 'failed') from webhooks.delivery where endpoint_id = $1""",
        endpoint_id,
    )
    queued = await connection.fetchval("select count(*) from webhooks.queue where endpoint_id = $1", endpoint_id)
    assert tuple(told) == tuple(seen)
    assert queued == told["waiting"]
    return tuple(told)
