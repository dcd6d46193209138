"""Tools about bookings: why one has an order or none, and what a reconciliation would do."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from pydantic import BaseModel, Field

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import Text
from mainstem.connectors import items, ledger, runs
from mainstem.connectors.plan import Judged, LinesUnknown, NotWanted, Ready, Refused, Shut, Unmapped, judge
from mainstem.connectors.running import Connectors, Running
from mainstem.connectors.sync import OverlapError
from mainstem.platform.answers import Moment
from mainstem.platform.errors import ConflictError, NotFoundError

_MOST_EVENTS: Final = 50
_MOST_ORDERS: Final = 5
_BOOKING: Final = r"^[A-Za-z0-9_-]+$"


class ExplainBooking(Arguments):
    """Which booking."""

    booking_id: str = Field(
        min_length=1, max_length=64, pattern=_BOOKING, description="Id in the system that it comes from."
    )
    connector: Text | None = Field(
        default=None, max_length=64, description="Name of the connector; the first that knows it when absent."
    )


class OrderFound(BaseModel):
    """An order of a booking."""

    state: str
    reason: str | None
    error: str | None
    order_id: str | None
    changed_at: Moment
    changed_by: str


class StepFound(BaseModel):
    """A step of the latest order."""

    state: str
    reason: str | None
    by: str
    at: Moment


class BookingExplained(BaseModel):
    """Where a booking stands, and why."""

    booking_id: str
    connector: str
    name: str
    takes_place_on: date | None
    status: str
    last_result: str | None = Field(description="What came of it last.")
    last_reason: str | None
    explanation: str = Field(description="What holds now, in a sentence.")
    orders: list[OrderFound]
    steps: list[StepFound]


class RunReconciliation(Arguments):
    """What to compare."""

    connector: Text | None = Field(
        default=None, max_length=64, description="Name of the connector; the only one when absent."
    )
    hours_back: int = Field(default=48, ge=1, le=744, description="Bookings that changed or take place since.")


class ReconciledEvent(BaseModel):
    """What would become of one booking."""

    booking_id: str
    name: str
    date: str | None
    status: str
    reason: str | None
    error: str | None


class ReconciliationOut(BaseModel):
    """What a reconciliation would do; nothing is written to any system."""

    connector: str
    dry_run: bool
    success: bool
    error: str | None
    run_id: int
    queried: int
    skipped: int
    failed: int
    differences: list[str] = Field(description="What differs, in sentences.")
    bookings: list[ReconciledEvent]


def sentence_of(judged: Judged) -> str:
    """Say what a judgement means."""
    match judged:
        case Ready(_, until) if until is None:
            return "It is its day: the order is made now, or was."
        case Ready(_, until):
            return f"Its order is made when its day begins, at {until:%Y-%m-%d %H:%M} UTC." if until else ""
        case Shut(reason):
            return f"The time gate is closed ({reason}), and time will not open it."
        case NotWanted(reason, cancelled):
            return f"It makes no order ({reason})" + (", for it was cancelled." if cancelled else ".")
        case Refused(reason):
            return f"It is not taken at all ({reason})."
        case Unmapped() | LinesUnknown():
            return judged.sentence


def tools(connectors: Callable[[], Connectors]) -> tuple[Tool[Any], ...]:
    """Return the tools; `connectors` gives those of the process."""

    async def mine(context: ToolContext, name: str | None) -> list[Running]:
        caller = context.caller
        if name is not None:
            return [await connectors().get(name, caller.tenant)]
        return [
            await connectors().get(one.name, caller.tenant)
            for one in connectors().all.values()
            if one.tenant == caller.tenant
        ]

    async def explain_booking(context: ToolContext, given: ExplainBooking) -> BookingExplained:
        for one in await mine(context, given.connector):
            found = await _explained(context, one, given.booking_id)
            if found is not None:
                return found
        raise NotFoundError(f"Booking {given.booking_id} not found")

    async def run_reconciliation(context: ToolContext, given: RunReconciliation) -> ReconciliationOut:
        running = await mine(context, given.connector)
        if not running:
            raise NotFoundError("There is no connector.")
        if len(running) > 1:
            names = ", ".join(one.connector.name for one in running)
            raise ConflictError(f"There are several connectors, name one of: {names}.", code="which_connector")
        (one,) = running
        since = context.now - timedelta(hours=given.hours_back)
        try:
            report = await one.sync.bulk(since, context.now, dry_run=True, by=context.caller.subject)
        except OverlapError:
            raise ConflictError("Another run of this connector is under way.", code="run_under_way") from None
        return ReconciliationOut(
            connector=one.connector.name,
            dry_run=report.dry_run,
            success=report.success,
            error=report.error,
            run_id=report.run_id,
            queried=report.queried,
            skipped=report.skipped,
            failed=report.failed,
            differences=[difference.sentence for difference, _ in report.differences[:_MOST_EVENTS]],
            bookings=[
                ReconciledEvent(
                    booking_id=event["id"],
                    name=event["name"],
                    date=event["date"],
                    status=str(event["status"]),
                    reason=event["reason"],
                    error=event["error"],
                )
                for event in report.events[:_MOST_EVENTS]
            ],
        )

    return (
        Tool(
            name="explain_booking",
            title="Explain a booking",
            description="Tell where a booking stands: its order, the steps of it, and why there is none.",
            arguments=ExplainBooking,
            result=BookingExplained,
            scope="connectors",
            hints=Hints(read_only=True, idempotent=True),
            run=explain_booking,
        ),
        Tool(
            name="run_reconciliation",
            title="Compare bookings and orders",
            description="Compare bookings with the orders in the point of sale and tell what differs. Writes nothing there.",
            arguments=RunReconciliation,
            result=ReconciliationOut,
            scope="connectors",
            hints=Hints(),
            run=run_reconciliation,
            outside=True,
        ),
    )


async def _explained(context: ToolContext, one: Running, booking_id: str) -> BookingExplained | None:
    connection, tenant_id, connector = context.connection, context.caller.tenant_id, one.connector
    key = await ledger.find_key(connection, tenant_id, connector, booking_id)
    standing = None if key is None else await ledger.one(connection, key)
    if standing is None:
        return None
    mapping = await items.item_map(connection, tenant_id, connector.name, connector.rules.establishment)
    rows, _ = await runs.orders(
        connection, tenant_id, connector.name, state=None, booking_id=booking_id, limit=_MOST_ORDERS, offset=0
    )
    steps = await runs.steps(connection, tenant_id, connector.name, rows[0]["order_key"]) if rows else []
    booking = standing.booking
    return BookingExplained(
        booking_id=booking.booking_id,
        connector=connector.name,
        name=booking.name,
        takes_place_on=booking.on,
        status=booking.status,
        last_result=standing.last_result,
        last_reason=standing.last_reason,
        explanation=sentence_of(judge(booking, mapping, connector.rules, context.now)),
        orders=[OrderFound(**{name: row[name] for name in OrderFound.model_fields}) for row in rows],
        steps=[StepFound(**{name: row[name] for name in StepFound.model_fields}) for row in steps],
    )
