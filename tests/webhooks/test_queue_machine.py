"""The queue under any order of events, claims, results, crashes and stops: nothing is lost, nothing is counted twice."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from webhooks.receiver import add_endpoint, event, queue_events

from mainstem.platform.clock import utc_now
from mainstem.platform.db import load_queries
from mainstem.webhooks import book
from mainstem.webhooks.retry import Delivered, GiveUp, RetryAt

CLAIM = "select * from webhooks.claim($1, interval '1 minute', $2, $3, 100, '{}', '{}')"
GIVE_BACK = load_queries("mainstem.webhooks", "deliver.sql")["give_back"]
STEPS = {"delivered": Delivered, "retrying": lambda: RetryAt(utc_now()), "failed": GiveUp}


def result_of(claimed: asyncpg.Record, outcome: str) -> book.Result:
    return book.Result(
        delivery_id=claimed["delivery_id"],
        endpoint_id=claimed["endpoint_id"],
        tenant_id=1,
        attempt=claimed["attempt"],
        kind="order.paid",
        at=utc_now(),
        duration_ms=3,
        outcome="delivered" if outcome == "delivered" else "status",
        status_code=200 if outcome == "delivered" else 500,
        error=None,
        response=None,
        step=STEPS[outcome](),
        fifo=False,
        slows=False,
        was_slowed=False,
    )


class Queue(RuleBasedStateMachine):
    """Two workers over one queue; the model knows what each delivery has become."""

    dsn = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.connection = self.do(asyncpg.connect(self.dsn))
        self.do(
            self.connection.execute("truncate webhooks.queue, webhooks.delivery, webhooks.message, webhooks.attempt")
        )
        self.do(self.connection.execute("delete from webhooks.endpoint"))
        self.endpoints = [self.do(add_endpoint(self.connection, f"https://example.com/{n}")).id for n in range(2)]
        self.workers: tuple[UUID, UUID] = (uuid4(), uuid4())
        self.held: dict[UUID, list[asyncpg.Record]] = {worker: [] for worker in self.workers}
        self.stale: dict[UUID, list[asyncpg.Record]] = {worker: [] for worker in self.workers}
        self.status: dict[int, str] = {}
        self.attempts: dict[int, int] = {}

    def do(self, awaitable):
        return self.runner.run(_of(awaitable))

    def teardown(self) -> None:
        self.do(self.connection.close())
        self.runner.close()

    @rule(events=st.integers(1, 4))
    def load(self, events: int) -> None:
        assert self.do(queue_events(self.connection, [event() for _ in range(events)])) == 2 * events
        for row in self.do(self.connection.fetch("select delivery_id from webhooks.delivery")):
            self.status.setdefault(row["delivery_id"], "pending")
            self.attempts.setdefault(row["delivery_id"], 0)

    @rule(number=st.integers(0, 1), room=st.integers(1, 6), retries=st.integers(1, 3))
    def claim(self, number: int, room: int, retries: int) -> None:
        rows = self.do(self.connection.fetch(CLAIM, self.workers[number], room, retries))
        assert len(rows) <= room
        assert sum(row["lane"] for row in rows) <= retries
        others = {row["delivery_id"] for held in self.held.values() for row in held}
        for row in rows:
            assert self.status[row["delivery_id"]] in {"pending", "retrying"}
            assert row["delivery_id"] not in others
        self.held[self.workers[number]] += rows

    @precondition(lambda self: any(self.held.values()))
    @rule(number=st.integers(0, 1), outcomes=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4))
    def settle(self, number: int, outcomes: list[str]) -> None:
        worker = self.workers[number]
        some, self.held[worker] = self.held[worker][: len(outcomes)], self.held[worker][len(outcomes) :]
        if not some:
            return
        pairs = list(zip(some, outcomes, strict=False))
        ours = self.do(self.write(worker, [result_of(row, outcome) for row, outcome in pairs]))
        assert ours == {row["delivery_id"] for row in some}
        for row, outcome in pairs:
            self.status[row["delivery_id"]] = outcome
            self.attempts[row["delivery_id"]] += 1

    async def write(self, worker: UUID, results: list[book.Result]) -> set[int]:
        async with self.connection.transaction():
            return await book.write(self.connection, worker, results)

    @precondition(lambda self: any(self.held.values()))
    @rule(number=st.integers(0, 1))
    def crash(self, number: int) -> None:
        """Let a worker's leases run out, without its knowing."""
        worker = self.workers[number]
        self.do(
            self.connection.execute(
                "update webhooks.queue set leased_until = now() - interval '1 second' where claim_id = $1", worker
            )
        )
        self.stale[worker] += self.held[worker]
        self.held[worker] = []

    @precondition(lambda self: any(self.stale.values()))
    @rule(number=st.integers(0, 1))
    def awake_again(self, number: int) -> None:
        """Have it tell of attempts that another may have begun since: those count for nothing."""
        worker = self.workers[number]
        for row in self.stale[worker]:
            now = self.do(
                self.connection.fetchrow(
                    "select claim_id, attempt from webhooks.queue where delivery_id = $1", row["delivery_id"]
                )
            )
            ours = self.do(self.write(worker, [result_of(row, "delivered")]))
            still = now is not None and (now["claim_id"], now["attempt"]) == (worker, row["attempt"])
            assert bool(ours) == still
            if still:
                self.status[row["delivery_id"]] = "delivered"
                self.attempts[row["delivery_id"]] += 1
                for held in self.held.values():
                    held[:] = [one for one in held if one["delivery_id"] != row["delivery_id"]]
        self.stale[worker] = []

    @precondition(lambda self: any(self.held.values()))
    @rule(number=st.integers(0, 1))
    def stop(self, number: int) -> None:
        worker = self.workers[number]
        ids = [row["delivery_id"] for row in self.held[worker]]
        assert len(self.do(self.connection.fetch(GIVE_BACK, worker, ids))) == len(ids)
        self.held[worker] = []

    @invariant()
    def nothing_is_lost(self) -> None:
        rows = self.do(
            self.connection.fetch(
                """select d.delivery_id, d.status, d.attempts, q.delivery_id is not null as waits,
                          (select count(*) from webhooks.attempt a where a.delivery_id = d.delivery_id) as logged
                   from webhooks.delivery d left join webhooks.queue q using (delivery_id)"""
            )
        )
        for row in rows:
            assert row["status"] == self.status[row["delivery_id"]]
            assert row["attempts"] == row["logged"] == self.attempts[row["delivery_id"]]
            assert row["waits"] == (row["status"] in {"pending", "retrying"})

    @invariant()
    def the_figures_balance(self) -> None:
        row = self.do(
            self.connection.fetchrow(
                """select coalesce(sum(c.deliveries - coalesce(t.delivered, 0) - coalesce(t.failed, 0)), 0) as waiting,
                          coalesce(sum(t.attempts), 0) as attempts
                   from webhooks.endpoint_created c left join webhooks.endpoint_total t using (endpoint_id)"""
            )
        )
        assert row["waiting"] == sum(status in {"pending", "retrying"} for status in self.status.values())
        assert row["attempts"] == sum(self.attempts.values())


async def _of(awaitable):
    return await awaitable


def test_the_queue(dsn: str):
    class OnThisDatabase(Queue):
        pass

    OnThisDatabase.dsn = dsn
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
