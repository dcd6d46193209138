"""Helpers of the tests of connectors: a source and a sink over dictionaries, and a connector between them.

The sink does what the port says and nothing more; `faults` are what goes wrong with the next calls: `before` (nothing was
done), `after` (done, and no answer came), `late` (as
`after`, and done when `arrive` is called), `lost` (no answer came, nothing was done), `refuse`, `half` (an incomplete order is
left behind).
"""

import asyncio
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any
from uuid import UUID

from mainstem.connectors import items
from mainstem.connectors.connector import Connector, Notice, Rules, Signature
from mainstem.connectors.decide import quantities
from mainstem.connectors.flow import Flow
from mainstem.connectors.inbound import Inbox
from mainstem.connectors.mapping import Entry
from mainstem.connectors.ports import (
    Booking,
    Line,
    NotThereError,
    OutcomeUnknownError,
    Plan,
    Probe,
    RefusedError,
    SinkOrder,
    UpstreamError,
)
from mainstem.connectors.sync import Sync
from mainstem.connectors.work import ConnectorWorker
from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.platform.db import Pool, transaction

NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
TODAY = date(2026, 11, 26)
KEY = "signing-key"
KEYRING = Keyring(bytes(32))
RULES = Rules(establishment="4", site_id="15691", zone="America/New_York")
MENU = (
    Entry("Chicken Skewers", "501", "Skewers, chicken"),
    Entry("House Red", "502", "Red wine, house"),
    Entry("Cheese Board", "503", "Cheese board"),
    Entry("Room rental", None),
)


def line(name: str = "Chicken Skewers", quantity: object = 2, price: object = "12.50", **fields: Any) -> Line:
    return Line(
        line_id=fields.pop("line_id", name),
        name=name,
        quantity=Decimal(str(quantity)),
        unit_price=None if price is None else Decimal(str(price)),
        **fields,
    )


def booking(booking_id: str = "1", **fields: Any) -> Booking:
    """Return a booking of today whose items are mapped, with whatever is given changed."""
    known: dict[str, Any] = {
        "site_id": "15691",
        "name": f"Wedding {booking_id}",
        "status": "DEFINITE",
        "on": TODAY,
        "guests": 40,
        "total": Decimal("25.00"),
        "lines": (line(),),
    }
    return Booking(booking_id=booking_id, **{**known, **fields})


@dataclass
class DictSource:
    """A source whose bookings are the test's."""

    bookings: dict[str, Booking] = field(default_factory=dict)
    fails: int = 0
    """How many calls get no answer."""
    breaks_after: int | None = None
    """Pages after which a list ends in an error."""
    page: int = 50
    calls: int = 0

    def put(self, *bookings: Booking) -> None:
        self.bookings.update((one.booking_id, one) for one in bookings)

    async def booking(self, booking_id: str) -> Booking:
        self._call()
        if booking_id not in self.bookings:
            raise NotThereError("no such booking")
        return self.bookings[booking_id]

    async def changed(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Booking]]:  # noqa: ARG002 - the port has them
        self._call()
        all_ = list(self.bookings.values())
        for number, start in enumerate(range(0, len(all_), self.page)):
            if number == self.breaks_after:
                raise UpstreamError("HTML instead of JSON")
            yield all_[start : start + self.page]

    async def probe(self) -> list[Probe]:
        return []

    def _call(self) -> None:
        self.calls += 1
        if self.fails:
            self.fails -= 1
            raise UpstreamError("503", status=503)


@dataclass
class DictSink:
    """A sink whose orders are in a dictionary."""

    orders_by_id: dict[str, SinkOrder] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    find_fails: int = 0
    submits: int = 0
    replaces: int = 0
    writes: int = 0
    gate: asyncio.Event | None = None
    """Where set, a submit waits for it before it does anything."""
    sending: asyncio.Event = field(default_factory=asyncio.Event)
    late: list[Callable[[], SinkOrder]] = field(default_factory=list)
    """Orders that are still on their way."""
    hide: bool = False
    """Whether reading does not show what was written yet."""
    plans: dict[str, Plan] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1000))

    def arrive(self) -> None:
        """Have what is on its way arrive."""
        while self.late:
            self.late.pop()()

    def live(self, local_id: str | None = None) -> list[SinkOrder]:
        return [
            one
            for one in self.orders_by_id.values()
            if not one.voided and (local_id is None or one.local_id == local_id)
        ]

    async def find(self, plan_local_id: str, uuid: UUID, establishment: str) -> list[SinkOrder]:  # noqa: ARG002 - the port has them
        await asyncio.sleep(0)
        if self.find_fails:
            self.find_fails -= 1
            raise UpstreamError("timeout")
        if self.hide:
            return []
        return [one for one in self.orders_by_id.values() if one.local_id == plan_local_id]

    async def submit(self, plan: Plan) -> SinkOrder:
        self.submits += 1
        self.sending.set()
        if self.gate is not None:
            await self.gate.wait()
        return self._write(lambda: self._new(plan))

    async def replace(self, order: SinkOrder, plan: Plan) -> SinkOrder:
        self.replaces += 1
        return self._write(lambda: self._put(order.order_id, plan))

    async def void(self, order: SinkOrder, reason: str) -> None:  # noqa: ARG002 - the port has them
        fault = self.faults.popleft() if self.faults else ""
        if fault in {"before", "lost"}:
            raise UpstreamError("503") if fault == "before" else OutcomeUnknownError("timeout")
        if self.orders_by_id[order.order_id].closed or fault == "refuse":
            raise RefusedError("The order is closed.")
        self.writes += 1
        self.orders_by_id[order.order_id] = replace(self.orders_by_id[order.order_id], voided=True)
        if fault == "after":
            raise OutcomeUnknownError("timeout")

    async def orders(self, establishment: str, since: date, until: date) -> AsyncIterator[Sequence[SinkOrder]]:  # noqa: ARG002 - the port has them
        if self.find_fails:
            self.find_fails -= 1
            raise UpstreamError("timeout")
        yield list(self.orders_by_id.values())

    async def probe(self) -> list[Probe]:
        return []

    def _write(self, write: Callable[[], SinkOrder]) -> SinkOrder:
        fault = self.faults.popleft() if self.faults else ""
        match fault:
            case "before":
                raise UpstreamError("503", status=503)
            case "lost":
                raise OutcomeUnknownError("timeout")
            case "late":
                self.late.append(write)
                raise OutcomeUnknownError("timeout")
            case "refuse":
                raise RefusedError("Product 501 is not sold here.")
            case "broken":
                raise RuntimeError("a bug")
        made = write()
        if fault == "half":
            self.orders_by_id[made.order_id] = replace(made, complete=False)
        if fault in {"after", "half"}:
            raise OutcomeUnknownError("timeout")
        return made

    def _new(self, plan: Plan) -> SinkOrder:
        return self._put(str(next(self.numbers)), plan)

    def _put(self, order_id: str, plan: Plan) -> SinkOrder:
        self.writes += 1
        self.plans[order_id] = plan
        total = sum(((one.price or Decimal(0)) * one.quantity for one in plan.items), Decimal(0))
        order = SinkOrder(
            order_id=order_id,
            local_id=plan.local_id,
            uuid=str(plan.uuid),
            items=quantities(plan),
            total=total,
        )
        self.orders_by_id[order_id] = order
        return order


def sign(body: bytes, *, at: datetime = NOW, key: str = KEY) -> dict[str, str]:
    """Return the headers of a signed delivery."""
    seconds = int(at.timestamp())
    mac = hmac.digest(key.encode(), b"%d.%b" % (seconds, body), sha256).hex()
    return {"content-type": "application/json", "x-signature": f"t={seconds},v1={mac}"}


def verify(headers: Mapping[str, str], body: bytes, now: datetime) -> Signature:
    header = headers.get("x-signature")
    if header is None:
        return Signature.MISSING
    stamp, _, mac = header.partition(",v1=")
    if not stamp.startswith("t=") or not mac:
        return Signature.MALFORMED
    wanted = hmac.digest(KEY.encode(), stamp[2:].encode() + b"." + body, sha256).hex()
    return Signature.VALID if hmac.compare_digest(wanted, mac) else Signature.MISMATCH


def read(body: bytes) -> Notice:
    """Read `{trigger, id, booking}`: the booking as `fields of booking()`."""
    given = json.loads(body)
    trigger = given.get("trigger")
    if trigger is None:
        return Notice(trigger=None, reason="MISSING_TRIGGER_TYPE")
    if trigger == "CREATE_LEAD":
        return Notice(trigger=trigger, reason="TRIGGER_TYPE_NOT_ACTIONABLE")
    booking_id = given["id"]
    told = given.get("booking")
    deleted = trigger == "DELETE_EVENT"
    if told is None:
        return Notice(trigger=trigger, booking_ids=(booking_id,), deleted=deleted)
    if "lines" in told:
        told["lines"] = None if told["lines"] is None else tuple(line(*one) for one in told["lines"])
    if "on" in told:
        told["on"] = None if told["on"] is None else date.fromisoformat(told["on"])
    one = booking(booking_id, deleted=deleted, **told)
    return Notice(trigger=trigger, booking_ids=(booking_id,), bookings={booking_id: one}, deleted=deleted)


def body_of(booking_id: str = "1", *, trigger: str | None = "UPDATE_EVENT", note: str = "", **told: Any) -> bytes:
    """Return the body of a delivery that tells a booking."""
    return json.dumps({"trigger": trigger, "id": booking_id, "booking": told, "note": note}).encode()


@dataclass
class Desk:
    """A connector between a source and a sink, on a database."""

    flow: Flow
    inbox: Inbox
    worker: ConnectorWorker
    sync: Sync
    source: DictSource
    sink: DictSink
    pool: Pool
    now: datetime = NOW

    async def deliver(self, body: bytes, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = await self.inbox.receive(sign(body, at=self.now) if headers is None else headers, body)
        return {**answer.body, "status": answer.status}

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        async with transaction(self.pool) as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    async def states(self, booking_id: str = "1") -> list[str]:
        """Return the states of a booking's orders, in the order they were made."""
        rows = await self.rows(
            "select state from connectors.ledger where booking_id = $1 order by order_key", booking_id
        )
        return [row["state"] for row in rows]

    async def events(self) -> list[str]:
        return [row["kind"] for row in await self.rows("select kind from raw.event order by raw_id")]

    async def settle(self, seconds: float = 600) -> None:
        """Let time pass and work on all that is due."""
        self.now += timedelta(seconds=seconds)
        await self.worker.drain()


@asynccontextmanager
async def trading(
    pool: Pool,
    *,
    source: DictSource | None = None,
    sink: DictSink | None = None,
    rules: Rules = RULES,
    menu: Sequence[Entry] = MENU,
    outbox: Any = None,
    **fields: Any,
) -> AsyncIterator[Desk]:
    """Yield a connector of the tenant default, with a mapping."""
    source, sink = source or DictSource(), sink or DictSink()
    made = {"name": "tripleseat", "tenant": "default", "verify": verify, "read": read, "budget_s": 5.0}
    connector = Connector(source=source, sink=sink, rules=rules, **{**made, **fields})
    async with transaction(pool) as connection:
        tenant_id = await connection.fetchval("select tenant_id from platform.tenant where slug = 'default'")
        if menu:
            await items.put(connection, tenant_id, connector.name, rules.establishment, menu, by="test")
    flow = Flow(pool, tenant_id, connector, outbox=outbox, subjects=Subjects(KEYRING))
    inbox = Inbox(flow, KEYRING)
    desk = Desk(flow, inbox, ConnectorWorker(flow, inbox), Sync(flow), source, sink, pool)
    flow.clock = lambda: desk.now
    try:
        yield desk
    finally:
        await inbox.finish()
