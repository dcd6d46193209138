"""Tasks that come again, over HTTP and in the database."""

import asyncio
from datetime import datetime


class TestRepeated:
    async def test_completing_makes_the_next_one_once(self, office) -> None:
        ann = await office.person("ann")
        made = await ann.add(
            "Water plants",
            due="2031-03-28T09:00:00",
            timezone="Europe/Berlin",
            recurrence="RRULE:FREQ=DAILY;COUNT=3",
            labels=["home"],
            links=[{"type": "alert", "id": 7}],
            reminders=[{"minutes_before": 30}],
        )
        assert (made["recurrence"], made["occurrence"]) == ("FREQ=DAILY;COUNT=3", 1)
        done = await ann.toggle(1)
        following = done["next_task"]
        assert (following["id"], following["occurrence"], following["completed"]) == (2, 2, False)
        assert (following["title"], following["labels"], following["links"]) == (
            "Water plants",
            ["home"],
            [{"type": "alert", "id": "7"}],
        )
        assert following["due_date"] == "2031-03-29T08:00:00.000000Z"
        reminders = (await ann.get("/api/tasks/2/reminders"))["items"]
        assert [one["remind_at"] for one in reminders] == ["2031-03-29T07:30:00.000000Z"]
        # opened and done again, the next one is there already
        assert (await ann.toggle(1))["next_task"] is None
        assert (await ann.toggle(1))["next_task"] is None
        third = (await ann.toggle(2))["next_task"]
        # the clocks have changed, nine is nine
        assert (third["due_date"], third["occurrence"]) == ("2031-03-30T07:00:00.000000Z", 3)
        assert (await ann.toggle(3))["next_task"] is None
        assert len(await ann.titles()) == 3

    async def test_many_who_complete_at_once_make_one(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add("Clean", due="2031-03-28", recurrence="FREQ=WEEKLY", assignee=bob.id)
        answers = await asyncio.gather(*(who.send("PATCH", "/api/tasks/1/complete") for who in (ann, bob) * 4))
        assert {answer.status_code for answer in answers} == {200}
        made = [answer.json()["next_task"] for answer in answers if answer.json()["next_task"] is not None]
        assert len(made) == 1
        assert len(await ann.titles()) == len(await bob.titles()) == 2
        assert made[0]["user_id"] == ann.id

    async def test_the_assignee_makes_the_owners_next_one(self, office) -> None:
        ann, bob = await office.person("ann"), await office.person("bob")
        await ann.add("Clean", due="2031-03-28", recurrence="FREQ=WEEKLY", assignee=bob.id)
        following = (await bob.toggle(1))["next_task"]
        assert (following["user_id"], following["assignee_id"], following["all_day"]) == (ann.id, bob.id, True)

    async def test_words_bring_their_own_recurrence(self, office) -> None:
        ann = await office.person("ann")
        made = await ann.add("Report", due="every friday at 9am", timezone="Europe/Berlin")
        assert (made["recurrence"], made["repeat_from"]) == ("FREQ=WEEKLY;BYDAY=FR", "due")
        due = datetime.fromisoformat(made["due_date"])
        following = (await ann.toggle(1))["next_task"]
        assert 6.9 < (datetime.fromisoformat(following["due_date"]) - due).total_seconds() / 86_400 < 7.1
        made = await ann.add("Filter", due="every! 3 days")
        assert made["repeat_from"] == "completion"
        changed = await ann.put(made["id"], due=None)
        assert (changed["due_date"], changed["recurrence"]) == (None, None)
