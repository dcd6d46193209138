"""A test of an endpoint: one message of kind `webhook.test`, sent at once and tried once, whether the endpoint is on or not.

It is a delivery like any other, in the log and in the figures, but never waits in the queue for a worker.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

import msgspec

from mainstem.pii.box import Keyring
from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.platform.ids import uuid7
from mainstem.platform.outbound import Answer, Outbound, OutboundError, Trouble
from mainstem.webhooks import book, store
from mainstem.webhooks.attempt import call, text_of
from mainstem.webhooks.payload import Message
from mainstem.webhooks.retry import Delivered, GiveUp, outcome_of
from mainstem.webhooks.targets import Endpoint, endpoint_of

KIND: Final = "webhook.test"
_BEYOND_TIMEOUT_S: Final = 30.0
_deliveries: Final = load_queries("mainstem.webhooks", "deliveries.sql")
_deliver: Final = load_queries("mainstem.webhooks", "deliver.sql")


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a test."""

    delivery_id: int
    event_uid: UUID
    was_active: bool
    status_code: int | None
    """None: there was no answer."""
    duration_ms: int
    error: str | None
    response: str | None
    """Beginning of the answer."""

    @property
    def succeeded(self) -> bool:
        """Whether the answer was 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


SendTest = Callable[[int, int, str], Awaitable[Trial]]
"""Tests an endpoint: (tenant id, endpoint id, who asks). Raises NotFoundError."""


class Tester:
    """Sends tests for one process; the HTTP call is outside of every transaction."""

    def __init__(
        self, pool: Callable[[], Pool], outbound: Callable[[], Outbound], keyring: Callable[[], Keyring]
    ) -> None:
        """Keep the parts; they are asked for when a test is sent."""
        self._pool = pool
        self._outbound = outbound
        self._keyring = keyring

    async def __call__(self, tenant_id: int, endpoint_id: int, by: str) -> Trial:
        """Test an endpoint and write down what it met. Raises NotFoundError."""
        claim_id, event_uid = uuid4(), uuid7()
        async with transaction(self._pool(), tenant_id=tenant_id) as connection:
            row = await store.read(connection, tenant_id, endpoint_id)
            target = await self._target(connection, endpoint_id)
            message = _message(event_uid, endpoint_id, row["name"], by)
            delivery_id: int = await connection.fetchval(
                _deliveries["insert_test"], tenant_id, endpoint_id, event_uid, KIND, message.data
            )
            lease = timedelta(seconds=target.timeout_s + _BEYOND_TIMEOUT_S)
            await connection.execute(_deliveries["claim_test"], delivery_id, endpoint_id, claim_id, lease)
        at, started = utc_now(), perf_counter()
        met: Answer | OutboundError
        if target.fault is not None:
            met = OutboundError(Trouble.PROTOCOL, target.fault)
        else:
            met = await call(self._outbound(), target, message, at)
        took_ms = round((perf_counter() - started) * 1_000)
        result = _result(target, delivery_id, met, at=at, duration_ms=took_ms)
        async with transaction(self._pool(), tenant_id=tenant_id) as connection:
            await book.write(connection, claim_id, [result])
        return Trial(
            delivery_id, event_uid, row["active"], result.status_code, result.duration_ms, result.error, result.response
        )

    async def _target(self, connection: Connection, endpoint_id: int) -> Endpoint:
        row = await connection.fetchrow(_deliver["endpoints"], [endpoint_id])
        if row is None:
            raise store.missing(endpoint_id)
        return endpoint_of(row, self._keyring())


def _message(event_uid: UUID, endpoint_id: int, name: str, by: str) -> Message:
    data = {"message": "This is a test of your endpoint.", "webhook_id": endpoint_id, "name": name, "by": by}
    text = msgspec.json.encode(data).decode()
    return Message(event_uid, KIND, "mainstem", f"webhook:{endpoint_id}", utc_now(), text)


def _result(
    target: Endpoint, delivery_id: int, met: Answer | OutboundError, *, at: datetime, duration_ms: int
) -> book.Result:
    answer = met if isinstance(met, Answer) else None
    arrived = answer is not None and 200 <= answer.status < 300
    return book.Result(
        delivery_id=delivery_id,
        endpoint_id=target.endpoint_id,
        tenant_id=target.tenant_id,
        attempt=1,
        kind=KIND,
        at=at,
        duration_ms=duration_ms,
        outcome="unopened" if target.fault is not None else outcome_of(met),
        status_code=None if answer is None else answer.status,
        error=_sentence(met),
        response=text_of(answer.body) if answer is not None and answer.body else None,
        # an answer of 410 to a test switches nothing off: somebody is just looking
        step=Delivered() if arrived else GiveUp(),
        fifo=target.fifo,
        slows=False,
        was_slowed=False,
    )


def _sentence(met: Answer | OutboundError) -> str | None:
    if isinstance(met, OutboundError):
        return text_of(str(met).encode(errors="replace"))
    return None if 200 <= met.status < 300 else f"The endpoint answered {met.status}."
