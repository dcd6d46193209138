"""Orders under any sequence of changes, faults, crashes and time: never two of one booking, and right in the end."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from connectors.trading import NOW, DictSink, booking, line, trading
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mainstem.connectors import ledger
from mainstem.platform.db import create_pool, transaction

FAULTS = st.sampled_from(["before", "after", "late", "lost", "half", "refuse", "broken"])
LATEST = timedelta(seconds=100)
"""How long an order may be on its way: less than what the connector waits for."""


class Orders(RuleBasedStateMachine):
    """One booking and the sink; the model knows what the source says, and how often an order was made."""

    dsn = ""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.pool = self.do(create_pool(self.dsn, role="worker", min_size=1, max_size=4))
        self.do(self.empty())
        self.sink = DictSink()
        self.context = trading(self.pool, sink=self.sink)
        self.desk = self.do(self.context.__aenter__())
        self.said = None
        self.late_since = None

    def do(self, awaitable):
        async def run():
            return await awaitable

        return self.runner.run(run())

    async def empty(self) -> None:
        async with transaction(self.pool) as connection:
            await connection.execute("truncate connectors.booking, connectors.delivery, connectors.item cascade")

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            self.do(self.context.__aexit__(None, None, None))
            self.do(self.pool.close())
            self.runner.close()

    def tell(self, **fields) -> None:
        self.said = booking(**fields)
        self.desk.source.put(self.said)
        self.desk.now += timedelta(seconds=1)
        self.do(self.taken())

    async def taken(self) -> None:
        async with transaction(self.pool, tenant_id=self.desk.flow.tenant_id) as connection:
            taken = await ledger.take(
                connection,
                self.desk.flow.tenant_id,
                self.desk.flow.connector,
                self.said,
                seen_at=self.desk.now,
                now=self.desk.now,
            )
        self.key = taken.booking_key

    @rule(quantity=st.integers(1, 3), guests=st.integers(1, 2), faults=st.lists(FAULTS, max_size=2))
    def books(self, quantity: int, guests: int, faults: list[str]) -> None:
        self.sink.faults.extend(faults)
        self.tell(lines=(line(quantity=quantity),), guests=guests)
        self.settle(0)

    @precondition(lambda self: self.said is not None)
    @rule(deleted=st.booleans(), faults=st.lists(FAULTS, max_size=1))
    def cancels(self, deleted: bool, faults: list[str]) -> None:
        self.sink.faults.extend(faults)
        self.tell(lines=self.said.lines, status="LOST", deleted=deleted)
        self.settle(0)

    @rule(times=st.integers(1, 2))
    def can_t_be_read(self, times: int) -> None:
        self.sink.find_fails += times

    @precondition(lambda self: self.said is not None)
    @rule(seconds=st.sampled_from([3, 30, 200]))
    def works(self, seconds: int) -> None:
        self.settle(seconds)

    def settle(self, seconds: int) -> None:
        if not self.sink.late:
            self.late_since = None
        elif self.late_since is None:
            self.late_since = self.desk.now
        if self.late_since is not None and self.desk.now + timedelta(seconds=seconds) - self.late_since > LATEST:
            self.sink.arrive()
            self.late_since = None
        self.do(self.desk.settle(seconds))

    @rule()
    def arrives(self) -> None:
        self.sink.arrive()

    @precondition(lambda self: self.said is not None)
    @rule()
    def dies(self) -> None:
        """Claim the booking and be gone: the lease runs out."""
        self.do(self.lapse())

    async def lapse(self) -> None:
        async with transaction(self.pool) as connection:
            await ledger.claim(connection, self.key, uuid4(), timedelta(seconds=60))
            await connection.execute("update connectors.booking set leased_until = now() - interval '1 second'")

    @precondition(lambda self: self.said is not None)
    @rule()
    def dies_while_it_sends(self) -> None:
        """Be killed in the middle of a submit that arrives: nothing is written down after it."""
        self.do(self.killed())

    async def killed(self) -> None:
        self.sink.gate, self.sink.sending = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(self.desk.flow.advance(self.key, by="test"))
        sending = asyncio.create_task(self.sink.sending.wait())
        await asyncio.wait([task, sending], return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        if not task.done():
            plan = await self.plan_of_the_row()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if plan is not None and not self.sink.live(plan.local_id):
                # the request was on its way
                self.sink._new(plan)
            async with transaction(self.pool) as connection:
                await connection.execute("update connectors.booking set leased_until = now() - interval '1 second'")
        self.sink.gate = None

    async def plan_of_the_row(self):
        async with transaction(self.pool) as connection:
            standing = await ledger.one(connection, self.key)
        return next((one.plan for one in standing.orders if one.state == "submitting"), None)

    @invariant()
    def there_is_never_a_second_order(self) -> None:
        if hasattr(self, "sink"):
            assert len(self.sink.live()) <= 1

    @precondition(lambda self: self.said is not None)
    @rule()
    def all_is_well_in_the_end(self) -> None:
        self.sink.faults.clear()
        self.sink.find_fails = 0
        for _ in range(4):
            self.settle(200)
        if self.do(self.result()) == "FAILED":
            # what was refused, an order or its end, waits for people; all else comes right by itself
            self.do(self.desk.sync.single("1", dry_run=False, by="test"))
        for _ in range(2):
            self.settle(200)
        live = self.sink.live()
        if self.said.status == "LOST":
            assert live == []
        else:
            (order,) = live
            assert order.complete
            assert order.items == {"501": self.said.lines[0].quantity}
            assert self.sink.plans[order.order_id].guests == self.said.guests
            assert (self.do(self.desk.states())).count("confirmed") == 1
        self.desk.now = max(NOW, self.desk.now)
        if self.desk.now > NOW + timedelta(hours=9):
            # the day must not pass
            self.do(self.empty())
            self.said = None
            self.sink.orders_by_id.clear()
            self.sink.late.clear()
            self.desk.now = NOW
            self.do(self.mapped())

    async def result(self) -> str | None:
        ((told,),) = [tuple(row.values()) for row in await self.desk.rows("select result from connectors.booking")]
        return told

    async def mapped(self) -> None:
        async with trading(self.pool, sink=self.sink):
            pass


def test_orders(dsn: str):
    class OnThisDatabase(Orders):
        pass

    OnThisDatabase.dsn = dsn
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
