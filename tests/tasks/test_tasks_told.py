"""What the hub hears of tasks: events, the vault, webhooks, live messages; and nothing that is private."""

import json

from links.visiting import loaded

from mainstem.platform.live import CHANNEL

SECRETS = ("Zebra", "Quagga", "Okapi", "Narwhal")


async def kinds(connection) -> list[str]:
    return [row[0] for row in await connection.fetch("select kind from raw.event order by raw_id")]


class TestHistory:
    async def test_every_change_is_an_event_in_the_vault_and_sealed(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add("Zebra", description="Quagga", labels=["Okapi"], links=[{"type": "link", "id": "summer"}])
        await ann.send("POST", "/api/tasks/1/comments", {"body": "Narwhal"})
        await ann.put(1, priority="high")
        await ann.send("POST", "/api/tasks/1/assign", {"user": bob.email})
        await bob.toggle(1)
        await ann.toggle(1)
        booking = {"type": "booking", "id": "tripleseat/1/4711"}
        assert (await ann.send("POST", "/api/tasks/1/links", booking)).status_code == 201
        assert (await ann.send("DELETE", "/api/tasks/1/links/booking/tripleseat/1/4711")).json()["links"] == [
            {"type": "link", "id": "summer"}
        ]
        expected = "created linked commented updated assigned completed reopened linked unlinked".split()
        assert await kinds(office.connection) == [f"task.{verb}" for verb in expected]
        await loaded(office.connection, office.hub)
        history = (await ann.get("/api/tasks/1/history"))["items"]
        assert sorted(one["kind"] for one in history) == sorted(f"task.{verb}" for verb in expected)
        first = next(one for one in history if one["kind"] == "task.created")
        assert (first["data"]["title"], first["data"]["description"], first["data"]["labels"]) == (
            "Zebra",
            "Quagga",
            ["Okapi"],
        )
        said = next(one for one in history if one["kind"] == "task.commented")
        assert (said["data"]["comment"], said["by"]) == ("Narwhal", f"user:{ann.id}")
        for table in ("raw.event", "vault.nhl_event", "vault.sat_task", "vault.sat_customer_task_pii"):
            text = "\n".join(row[0] for row in await office.connection.fetch(f"select t::text from {table} t"))
            assert text
            assert not [word for word in SECRETS if word in text], table
        rows = await office.connection.fetch(
            "select task_version, task_status, task_priority, assignee_id, acted_by from business.task"
        )
        assert [tuple(row) for row in rows] == [(5, "pending", "high", bob.id, f"user:{ann.id}")]
        booked = await office.connection.fetch("select task_uid, connector, booking_id from business.task_booking")
        assert [row["booking_id"] for row in booked] == ["4711"]
        links = await office.connection.fetch("select tracking_id from business.task_tracked_link")
        assert [row["tracking_id"] for row in links] == ["summer"]

    async def test_the_owners_person_has_the_words_and_who_only_shares_reads_them(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add("Zebra")
        assert (await bob.send("GET", "/api/tasks/1/history")).status_code == 404
        assert (await ann.send("POST", "/api/tasks/1/share", {"user": bob.id})).status_code == 200
        await loaded(office.connection, office.hub)
        past = (await bob.get("/api/tasks/1/history"))["items"]
        assert [one["kind"] for one in past] == ["task.created", "task.shared"]
        assert past[1]["data"]["with"] == bob.id
        known = await office.connection.fetch("select kind from pii.subject_identifier order by kind")
        assert [row[0] for row in known] == ["email", "user"]


class TestOthers:
    async def test_endpoints_get_states_and_no_words(self, office) -> None:
        ann = await office.person("ann", role="owner")
        made = await ann.send(
            "POST", "/api/v1/webhooks", {"name": "all", "url": "https://example.com/", "events": ["*"]}
        )
        assert made.status_code == 201, made.text
        await ann.add("Zebra", labels=["Okapi"])
        await loaded(office.connection, office.hub)
        (text,) = [
            row[0]
            for row in await office.connection.fetch(
                "select data::text from webhooks.message where kind = 'task.created'"
            )
        ]
        data = json.loads(text)
        assert (data["task_id"], data["status"], data["user_id"]) == (1, "pending", ann.id)
        assert "private" not in data
        assert "ms1:" not in text

    async def test_watchers_hear_of_their_own_tasks_alone(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        heard: list[dict] = []
        await office.connection.add_listener(CHANNEL, lambda *given: heard.append(json.loads(given[-1])))
        await ann.add("Zebra")
        await ann.put(1, assignee=bob.email)
        await office.connection.fetchval("select 1")
        about = [(one["type"], one["data"]["verb"], one["people"]) for one in heard if one["type"] == "task_changed"]
        assert about == [
            ("task_changed", "created", [ann.id]),
            ("task_changed", "assigned", [ann.id, bob.id]),
        ]

    async def test_nobody_writes_the_history_of_tasks_from_outside(self, office) -> None:
        ann = await office.person("ann", role="owner")
        event = {"kind": "task.completed", "source": "tasks", "data": {"uid": "x"}}
        refused = await ann.send("POST", "/api/v1/events", event)
        assert (refused.status_code, refused.json()["code"]) == (422, "reserved_kind")
