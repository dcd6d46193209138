"""Tools about webhooks: which fail, and sending a delivery again."""

from typing import Any, Final

from pydantic import BaseModel, Field

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import LongId
from mainstem.platform.answers import Moment
from mainstem.webhooks import deliveries, store
from mainstem.webhooks.answers import delivery_out, endpoint_out

_MOST: Final = 20
_MOST_FAILED: Final = 5
_SICK: Final = ("degraded", "failing")


class FailingWebhooks(Arguments):
    """Which webhooks."""

    limit: int = Field(default=10, ge=1, le=_MOST)


class FailedDelivery(BaseModel):
    """A delivery that was given up."""

    delivery_id: int
    kind: str
    attempts: int
    last_status_code: int | None
    last_error: str | None
    created_at: Moment


class FailingWebhook(BaseModel):
    """An endpoint that does not take what it is sent."""

    webhook_id: int
    name: str
    url: str
    active: bool
    health: str
    disabled_reason: str | None
    failed: list[FailedDelivery] = Field(description="The latest that were given up.")


class FailingOut(BaseModel):
    """Endpoints that fail, or are switched off."""

    webhooks: list[FailingWebhook]


class ResendDelivery(Arguments):
    """Which delivery."""

    delivery_id: LongId


class ResendOut(BaseModel):
    """The delivery is on its way again."""

    delivery_id: int
    status: str


async def failing_webhooks(context: ToolContext, given: FailingWebhooks) -> FailingOut:
    """Return the endpoints that fail, with their latest dead letters."""
    connection, tenant_id = context.connection, context.caller.tenant_id
    wanted = [store.Filter(health=health) for health in _SICK] + [store.Filter(active=False)]
    found: dict[int, Any] = {}
    for one in wanted:
        rows, _ = await store.page(connection, tenant_id, one, limit=given.limit, offset=0)
        found.update({row["endpoint_id"]: endpoint_out(row) for row in rows})
    sick = [found[endpoint_id] for endpoint_id in sorted(found)][: given.limit]
    return FailingOut(
        webhooks=[
            FailingWebhook(
                webhook_id=one.id,
                name=one.name,
                url=one.url,
                active=one.active,
                health=one.health_status,
                disabled_reason=one.disabled_reason,
                failed=await _failed(context, one.id),
            )
            for one in sick
        ]
    )


async def resend_delivery(context: ToolContext, given: ResendDelivery) -> ResendOut:
    """Queue a delivery once more, under the same webhook-id."""
    await deliveries.resend(context.connection, context.caller.tenant_id, given.delivery_id)
    row = await deliveries.read(context.connection, context.caller.tenant_id, given.delivery_id)
    return ResendOut(delivery_id=given.delivery_id, status=row["status"])


async def _ask_resend(context: ToolContext, given: ResendDelivery) -> str:
    row = await deliveries.read(context.connection, context.caller.tenant_id, given.delivery_id)
    return f"Send delivery {given.delivery_id} ({row['kind']}) to webhook {row['endpoint_id']} again?"


async def _failed(context: ToolContext, endpoint_id: int) -> list[FailedDelivery]:
    rows = await deliveries.page(
        context.connection,
        context.caller.tenant_id,
        endpoint_id,
        deliveries.Wanted(status="failed"),
        before=None,
        limit=_MOST_FAILED,
        offset=0,
    )
    return [
        FailedDelivery(
            delivery_id=one.id,
            kind=one.event_kind,
            attempts=one.attempts,
            last_status_code=one.last_status_code,
            last_error=one.last_error,
            created_at=one.created_at,
        )
        for one in map(delivery_out, rows)
    ]


TOOLS: Final[tuple[Tool[Any], ...]] = (
    Tool(
        name="failing_webhooks",
        title="Failing webhooks",
        description="List webhook endpoints that fail or are switched off, each with its latest deliveries that were given up.",
        arguments=FailingWebhooks,
        result=FailingOut,
        scope="read",
        hints=Hints(read_only=True, idempotent=True),
        run=failing_webhooks,
    ),
    Tool(
        name="resend_delivery",
        title="Resend a delivery",
        description="Send one webhook delivery again, under the same webhook-id. Asks a person first.",
        arguments=ResendDelivery,
        result=ResendOut,
        scope="admin",
        hints=Hints(),
        run=resend_delivery,
        question=_ask_resend,
    ),
)
