"""What a connector does at the sink: looks for orders, sends, changes and voids them; each announced before, and written down after."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from mainstem.connectors import decide, ledger
from mainstem.connectors.aim import Look, Status
from mainstem.connectors.decide import Adopt, Flag, Gone, Replace, Submit, Wait
from mainstem.connectors.outcome import VOIDED, End, Outcome
from mainstem.connectors.ports import OutcomeUnknownError, Plan, RefusedError, SinkOrder, State, UpstreamError
from mainstem.connectors.standing import IN_DOUBT
from mainstem.connectors.writing import Writer, there

UPDATED: Final = "ORDER_UPDATED"
_FEW: Final = timedelta(seconds=2)
log = structlog.get_logger(__name__)


class Sender(Writer):
    """Acts for one connector. No transaction is open while the sink is spoken to."""

    async def _find(self, plan: Plan) -> list[SinkOrder] | None:
        """Ask the sink for the orders of a name; None when it gives no answer that can be relied on."""
        try:
            async with asyncio.timeout(self._limit_s):
                return await self.connector.sink.find(plan.local_id, plan.uuid, plan.establishment)
        except (UpstreamError, TimeoutError, OutcomeUnknownError) as error:
            log.warning(
                "connector_find_failed", connector=self.connector.name, local_id=plan.local_id, error=str(error)
            )
        except Exception:
            log.exception("connector_find_failed", connector=self.connector.name, local_id=plan.local_id)
        return None

    async def _send(
        self, booking_key: int, claim_id: UUID, target: Look, step: Submit | Replace, by: str
    ) -> Outcome | None:
        async with self._holding(booking_key, claim_id) as (connection, standing):
            row = target.order
            if row is not None and row.state in {State.CONFIRMED, State.BLOCKED}:
                row = await self._reopened(connection, standing, row, by)
            attempts = await self._step(connection, row, State.SUBMITTING, by)
            await ledger.mark_unsure(connection, standing, unsure=True)
        sent = replace(there(row), state=State.SUBMITTING, attempts=attempts)
        target = replace(target, order=sent)
        try:
            async with asyncio.timeout(self._limit_s):
                if isinstance(step, Replace):
                    made = await self.connector.sink.replace(step.order, target.plan)
                else:
                    made = await self.connector.sink.submit(target.plan)
        except RefusedError as error:
            end = End(status=Status.FAILED, reason="ORDER_REFUSED", error=str(error), sure=not standing.unsure)
            return await self._finish(booking_key, claim_id, end, by, target, step)
        except UpstreamError as error:
            wait = max(decide.pause(attempts - 1), timedelta(seconds=error.retry_after_s or 0))
            until = self.clock() + wait
            end = End(
                status=Status.PENDING, reason="UPSTREAM_UNAVAILABLE", error=str(error), due_at=until, put_off=True
            )
            return await self._finish(booking_key, claim_id, end, by, target, Wait(State.PLANNED, end.reason, until))
        except Exception as error:
            # whatever else went wrong: it may have arrived
            if not isinstance(error, OutcomeUnknownError | TimeoutError):
                log.exception("connector_send_failed", connector=self.connector.name, local_id=target.plan.local_id)
            until = self.clock() + _FEW
            sentence = str(error) or "No answer came in time."
            end = End(status=Status.PENDING, reason="OUTCOME_UNKNOWN", error=sentence, due_at=until, put_off=True)
            return await self._finish(booking_key, claim_id, end, by, target, Wait(State.UNKNOWN, end.reason, until))
        changed = isinstance(step, Replace)
        end = End(
            status=Status.UPDATED if changed else Status.INJECTED,
            reason=UPDATED if changed else self.connector.injected,
            order_id=made.order_id,
        )
        return await self._finish(booking_key, claim_id, end, by, target, Adopt(made, ours=True))

    async def _adopt(self, booking_key: int, claim_id: UUID, target: Look, step: Adopt, by: str) -> Outcome:
        for extra in step.surplus:
            if not self.connector.dry_run:
                await self._void_surplus(extra)
        ours = step.ours
        end = End(
            status=Status.INJECTED if ours else Status.SKIPPED,
            reason=self.connector.injected if ours else "ALREADY_INJECTED",
            order_id=step.order.order_id,
            due_at=self.clock() if target.more else None,
        )
        return await self._finish(booking_key, claim_id, end, by, target, step)

    async def _void_surplus(self, order: SinkOrder) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                await self.connector.sink.void(order, "There is another order of the same booking.")
            log.warning("connector_surplus_voided", connector=self.connector.name, order_id=order.order_id)
        except (RefusedError, UpstreamError, OutcomeUnknownError, TimeoutError) as error:
            # the next reconciliation finds it
            log.warning("connector_surplus_stays", order_id=order.order_id, error=str(error))

    async def _void(
        self, booking_key: int, claim_id: UUID, target: Look, orders: tuple[SinkOrder, ...], by: str
    ) -> Outcome:
        step = Gone()
        try:
            for order in orders:
                async with asyncio.timeout(self._limit_s):
                    await self.connector.sink.void(order, "The booking was cancelled.")
        except RefusedError as error:
            flag = Flag("VOID_REFUSED", str(error), orders[0])
            end = End(status=Status.FAILED, reason=flag.reason, error=flag.sentence, order_id=orders[0].order_id)
            return await self._finish(booking_key, claim_id, end, by, target, flag)
        except (UpstreamError, OutcomeUnknownError, TimeoutError) as error:
            # what is void stays void: doing it twice does no harm
            until = self.clock() + decide.pause(2)
            in_doubt = target.order is not None and target.order.state in IN_DOUBT
            state = State.UNKNOWN if in_doubt else State.BLOCKED
            end = End(
                status=Status.PENDING, reason="UPSTREAM_UNAVAILABLE", error=str(error), due_at=until, put_off=True
            )
            return await self._finish(booking_key, claim_id, end, by, target, Wait(state, end.reason, until))
        end = End(status=Status.VOIDED, reason=VOIDED, order_id=orders[0].order_id)
        return await self._finish(booking_key, claim_id, end, by, target, step)

    @property
    def _limit_s(self) -> float:
        # what is sent must have ended, one way or the other, while the claim still holds
        return self.connector.lease.total_seconds() * 0.7
