"""Reminders: by mail through a real server and live, once, whoever asks and however late."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from postbox import mailing
from tasks.desk import open_office

from mainstem.platform import outbox
from mainstem.platform.live import CHANNEL
from mainstem.platform.mail import Mailer
from mainstem.tasks.run import Chores

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)


def chores(office) -> Chores:
    """Return the working part of a process of its own."""
    hub = office.hub
    return Chores(
        hub.worker_pool,
        hub.services.sealer.subjects,
        hub.alerting.teller.outbox,
        url="https://hub.example.org",
        zone="UTC",
    )


async def outcomes(office) -> list[tuple]:
    rows = await office.connection.fetch(
        "select user_id::text, outcome from tasks.reminder where sent_at is not null order by reminder_id"
    )
    return [tuple(row) for row in rows]


class TestReminders:
    async def test_a_reminder_is_mailed_and_told_once_by_many_workers(self, dsn, tmp_path, connection) -> None:
        with mailing() as box:
            given = {"smtp_url": box.url, "mail_from": "hub@example.org"}
            async with open_office(dsn, tmp_path, connection, works=False, **given) as office:
                ann, bob = await office.person("ann"), await office.person("bob")
                await ann.add(
                    "Call the caterer",
                    description="About the cake",
                    due="2031-05-01T13:00:00Z",
                    assignee=bob.id,
                    reminders=[{"minutes_before": 60}, {"at": "2031-05-01T12:30:00Z"}],
                )
                await bob.send("POST", "/api/tasks/1/reminders", {"minutes_before": 45})
                heard: list[dict] = []
                await connection.add_listener(CHANNEL, lambda *given: heard.append(json.loads(given[-1])))
                workers = [chores(office) for _ in range(4)]
                assert sum(await asyncio.gather(*(one.once(lambda: NOW) for one in workers))) == 1
                assert sum(await asyncio.gather(*(one.once(lambda: NOW) for one in workers))) == 0
                # the others come late, when somebody works again, and once each
                late = NOW + timedelta(days=3)
                assert sum(await asyncio.gather(*(one.once(lambda: late) for one in workers))) == 2
                assert sum(await asyncio.gather(*(one.once(lambda: late) for one in workers))) == 0
                assert await outcomes(office) == [(ann.id, "sent"), (ann.id, "sent"), (bob.id, "sent")]
                mailer = Mailer(office.hub.services.settings)
                while await outbox.send_due(office.hub.worker_pool, mailer, now=lambda: late):
                    pass
                box.wait(3)
                assert sorted(message["to"] for _, message in box.mails) == [ann.email, ann.email, bob.email]
                assert set(box.subjects()) == {"Reminder: Call the caterer"}
                texts = [message.get_content() for _, message in box.mails]
                assert all("About the cake" in text for text in texts)
                assert any("Due today at 13:00 (UTC)." in text for text in texts)
                await connection.fetchval("select 1")
                told = [(one["people"], one["data"]["title"]) for one in heard if one["type"] == "task_reminder"]
                assert sorted(told) == sorted(
                    [([ann.id], "Call the caterer"), ([ann.id], "Call the caterer"), ([bob.id], "Call the caterer")]
                )
                kinds = await connection.fetch(
                    "select subject, data::jsonb ->> 'of' from raw.event where kind = 'task.reminded'"
                )
                assert sorted(row[1] for row in kinds) == sorted([ann.id, ann.id, bob.id])

    async def test_reminders_move_with_the_date_and_are_skipped_when_it_is_done(
        self, dsn, tmp_path, connection
    ) -> None:
        async with open_office(dsn, tmp_path, connection, works=False) as office:
            ann = await office.person("ann")
            await ann.add("Pay", due="2031-05-01T13:00:00Z", reminders=[{"minutes_before": 10}])
            await ann.put(1, due="2031-05-02T13:00:00Z")
            (one,) = (await ann.get("/api/tasks/1/reminders"))["items"]
            assert one["remind_at"] == "2031-05-02T12:50:00.000000Z"
            work = chores(office)
            assert await work.once(lambda: NOW + timedelta(hours=5)) == 0
            await ann.toggle(1)
            assert await work.once(lambda: NOW + timedelta(days=2)) == 1
            assert await outcomes(office) == [(ann.id, "skipped")]
            assert (await ann.send("POST", "/api/tasks/1/reminders", {})).status_code == 422
            assert (await ann.send("DELETE", f"/api/tasks/1/reminders/{one['id']}")).status_code == 204
            assert (await ann.send("DELETE", f"/api/tasks/1/reminders/{one['id']}")).status_code == 404
            assert (await ann.send("DELETE", f"/api/tasks/1/reminders/{2**70}")).status_code == 404

    async def test_a_process_that_works_sends_by_itself(self, dsn, tmp_path, connection) -> None:
        with mailing() as box:
            given = {"smtp_url": box.url, "mail_from": "hub@example.org"}
            async with open_office(dsn, tmp_path, connection, **given) as office:
                ann = await office.person("ann")
                await ann.add("Now", reminders=[{"at": "2020-05-01T12:00:00Z"}])
                await asyncio.to_thread(box.wait, 1, 60)
                assert box.subjects() == ["Reminder: Now"]
