"""Tasks in the vault: replayed to the byte, sound by every check, exported and erased with their person."""

import json

from connectors.bookings import failed
from links.visiting import loaded
from vault.rebuilding import rebuilt, rows

from mainstem.subjects.erase import erase
from mainstem.subjects.export import export
from mainstem.subjects.find import find, identifiers_of
from mainstem.tasks.stage import stage_task
from mainstem.vault.model import GENERAL, TASK_COLUMNS, TASK_STRUCTURES

THINGS = [
    {"type": "booking", "id": "tripleseat/1/4711"},
    {"type": "order", "id": "tripleseat/7/Triple Seat_4711"},
    {"type": "visitor", "id": "v:anna"},
    {"type": "link", "id": "summer"},
    {"type": "alert", "id": "3"},
]
OWN = [spec.table for spec in TASK_STRUCTURES[len(GENERAL) :] if "task" in spec.table]


class TestVault:
    async def test_a_rebuild_of_tasks_equals_live_and_every_check_holds(self, office, dsn) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        for number in range(3):
            await ann.add(f"Task {number}", labels=["x"], links=THINGS, due="2031-05-01", recurrence="FREQ=DAILY")
            await loaded(office.connection, office.hub)
        await ann.put(1, priority="high", assignee=bob.id)
        await bob.toggle(1)
        await ann.send("DELETE", "/api/tasks/2")
        await loaded(office.connection, office.hub)
        assert await failed(dsn) == []
        report = await rebuilt(dsn, into="other", keep=True)
        assert (report.equal, report.differences, report.lost) == (True, [], 0)
        assert len(OWN) == 7
        for table in OWN:
            assert len(await rows(office.connection, table)) >= 3, table
        gone = await office.connection.fetch("select task_id, task_deleted from business.task where task_deleted")
        assert [tuple(row) for row in gone] == [(2, True)]
        about = await office.connection.fetchval("select count(*) from business.task_visitor where visitor = 'v:anna'")
        assert about == 4

    async def test_a_persons_words_are_exported_and_erased(self, office) -> None:
        ann = await office.person("ann")
        await ann.add("Zebra", description="Quagga")
        await loaded(office.connection, office.hub)
        sealer = office.hub.services.sealer
        (one,) = await find(office.connection, sealer.subjects, 1, identifiers_of(email=ann.email))

        async def exported() -> dict:
            async with office.connection.transaction():
                parts = [part async for part in export(office.connection, sealer.keyring, 1, one.subject_id)]
            return json.loads("".join(parts))

        before = await exported()
        assert before["events"][0]["data"]["private"] == {"title": "Zebra", "description": "Quagga"}
        assert before["attributes"][0]["sealed"]["tasktitle"] == ["Zebra"]
        async with office.connection.transaction():
            await erase(office.connection, sealer.keyring, 1, one.subject_id, by="cli")
        after = await exported()
        assert after["events"][0]["data"]["private"] == {"title": "(erased)", "description": "(erased)"}


def test_whatever_an_event_says_has_a_row(raw_task) -> None:
    for data in (
        "{}",
        '{"uid": 5}',
        '{"uid": "x", "version": "y", "due_date": "soon", "link": [1]}',
        '{"uid": "\\u0000"}',
    ):
        for kind in ("task.created", "task.linked", "task.deleted"):
            assert len(stage_task(raw_task(kind, data))) == len(TASK_COLUMNS)
