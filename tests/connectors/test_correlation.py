"""One id from the request of a delivery to the mail about its order, whoever makes it and when."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from connectors.trading import TODAY, body_of, booking, trading
from structlog.testing import capture_logs

from mainstem.platform.mail import Mailer
from mainstem.platform.outbox import Outbox
from mainstem.platform.settings import Settings

ID = "[req-0123456789abcdef]"


@pytest.fixture(autouse=True)
def _all_levels() -> Iterator[None]:
    """Have every line written, whatever level an earlier test has chosen."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


def outbox() -> Outbox:
    settings = Settings(_env_file=None, smtp_url="smtp://127.0.0.1:1", mail_from="hub@example.org")
    return Outbox(Mailer(settings), ["ops@example.org"])


async def test_a_delivery_s_id_is_that_of_its_order_and_mail(worker_pool) -> None:
    async with trading(worker_pool, outbox=outbox()) as desk:
        with structlog.contextvars.bound_contextvars(request_id="req-0123456789abcdef"):
            await desk.deliver(body_of(on=(TODAY + timedelta(days=1)).isoformat()))
            await desk.deliver(body_of(), {})
        # nobody asks: the worker makes the order on its day
        desk.now += timedelta(days=1)
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            await desk.worker.drain()
        (line,) = [one for one in logs if one["event"] == "connector_order"]
        assert (line["status"], line["correlation_id"]) == ("INJECTED", ID)
        for table in ("booking", "ledger", "delivery"):
            rows = await desk.rows(f"select correlation_id from connectors.{table}")
            assert {row["correlation_id"] for row in rows} == {ID}
        (mail,) = await desk.rows("select body from platform.mail")
        assert f"In the log: {ID}" in mail["body"]
        assert "correlation_id" not in structlog.contextvars.get_contextvars(), "what comes next is something else"


async def test_a_delivery_that_is_worked_on_later_keeps_its_id(worker_pool) -> None:
    async with trading(worker_pool) as desk:
        desk.source.put(booking("77"))
        desk.source.fails = 1
        with structlog.contextvars.bound_contextvars(request_id="req-0123456789abcdef"):
            await desk.deliver(b'{"trigger": "UPDATE_EVENT", "id": "77"}')
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            await desk.settle()
        lines = [one for one in logs if one["event"] in {"connector_delivery", "connector_order"}]
        assert [one["correlation_id"] for one in lines] == [ID, ID]


async def test_a_run_has_its_own(worker_pool) -> None:
    async with trading(worker_pool, outbox=outbox()) as desk:
        desk.source.put(booking())
        with structlog.contextvars.bound_contextvars(request_id="req-0123456789abcdef"):
            report = await desk.sync.single("1", dry_run=False, by="test")
        (row,) = await desk.rows("select correlation_id from connectors.ledger")
        assert row["correlation_id"] == f"[{report.correlation_id}]"
        (mail,) = await desk.rows("select body from platform.mail")
        assert row["correlation_id"] in mail["body"]
