"""One attempt: a message is signed and sent to an endpoint, and what it met says what comes next."""

import asyncio
from datetime import datetime
from random import Random
from typing import Final

import structlog

from mainstem.platform import metrics
from mainstem.platform.clock import utc_now
from mainstem.platform.outbound import Answer, Outbound, OutboundError, Trouble
from mainstem.webhooks import book
from mainstem.webhooks.payload import Message, body_of, headers_of
from mainstem.webhooks.places import Item, Place
from mainstem.webhooks.retry import Delivered, GiveUp, next_step, outcome_of
from mainstem.webhooks.targets import Endpoint

KEPT_BYTES: Final = 16_384
"""How much of an answer is kept."""
log = structlog.get_logger(__name__)


async def call(outbound: Outbound, target: Endpoint, message: Message, at: datetime) -> Answer | OutboundError:
    """Send a message to an endpoint, signed for this moment; return what it met."""
    content_type, body = body_of(message, target.envelope, target.tenant)
    headers = headers_of(
        target.secrets_at(at), message.event_uid, body, content_type, target.headers, timestamp=int(at.timestamp())
    )
    try:
        return await outbound.post(
            target.url, body, headers, timeout_s=target.timeout_s, keep_bytes=KEPT_BYTES, may_repeat=True
        )
    except OutboundError as error:
        return error


def text_of(body: bytes) -> str:
    """Return an answer's body as text that PostgreSQL takes."""
    return body.decode(errors="replace").replace("\x00", "\ufffd")


async def attempt(  # noqa: PLR0913 - who sends what where, and what is known of it
    outbound: Outbound, target: Endpoint, item: Item, place: Place, *, most: int, random: Random
) -> book.Result:
    """Send a claimed delivery, take in at its place what that met, and return what is to be written down."""
    loop = asyncio.get_running_loop()
    at, started = utc_now(), loop.time()
    fault = item.fault or target.fault
    met: Answer | OutboundError
    met = OutboundError(Trouble.PROTOCOL, fault) if fault is not None else await _met(outbound, target, item, at)
    duration_ms = round((loop.time() - started) * 1000)
    slowed = place.slowed
    step = next_step(target.policy, item.attempt, met, now=utc_now(), slowed=slowed, spread=random.random())
    slows = getattr(step, "pause_s", None) is not None
    place.slowed = slowed + 1 if slows else 0
    place.met(met, most)
    outcome = "unopened" if fault is not None else outcome_of(met)
    metrics.webhook_attempt(outcome, duration_ms / 1000)
    if isinstance(step, Delivered) and item.attempt == 1:
        metrics.webhook_lag((utc_now() - item.created_at).total_seconds())
    if isinstance(step, GiveUp):
        log.info("webhook_delivery_dead", delivery_id=item.delivery_id, webhook_id=target.endpoint_id)
    return book.Result(
        delivery_id=item.delivery_id,
        endpoint_id=item.endpoint_id,
        tenant_id=item.tenant_id,
        attempt=item.attempt,
        kind=item.message.kind,
        at=at,
        duration_ms=duration_ms,
        outcome=outcome,
        status_code=met.status if isinstance(met, Answer) else None,
        error=_error_of(met),
        response=text_of(met.body) if isinstance(met, Answer) and met.body else None,
        step=step,
        fifo=target.fifo,
        slows=slows,
        was_slowed=slowed > 0,
    )


async def _met(outbound: Outbound, target: Endpoint, item: Item, at: datetime) -> Answer | OutboundError:
    try:
        return await call(outbound, target, item.message, at)
    except Exception:
        # an attempt all the same: a delivery that can't be sent must come to its end, too
        log.exception("webhook_attempt_failed", delivery_id=item.delivery_id)
        return OutboundError(Trouble.PROTOCOL, "The attempt failed within this hub; its log says why.")


def _error_of(met: Answer | OutboundError) -> str | None:
    if isinstance(met, OutboundError):
        return text_of(str(met).encode(errors="replace"))
    return None if 200 <= met.status < 300 else f"The endpoint answered {met.status}."
