"""The topic `tasks` of the live dashboard: each person hears of their own tasks alone."""

from datetime import timedelta

from watching import serving

from mainstem.platform import live
from mainstem.platform.db import transaction


async def test_a_person_hears_of_their_own_tasks_and_a_key_of_none(dsn) -> None:
    async with serving(dsn) as hub:
        ann, bob = await hub.user(email="ann@example.org"), await hub.user(email="bob@example.org")
        anns, bobs = [await hub.token(user_id, timedelta(hours=1)) for user_id in (ann, bob)]
        async with (
            hub.watching(anns, "tasks") as first,
            hub.watching(bobs, "tasks") as second,
            hub.watching(await hub.key(), "tasks") as third,
        ):
            for people in ([ann], [ann, bob]):
                async with transaction(hub.owner_pool, tenant_id=1) as connection:
                    data = {"task_id": 1, "verb": "created", "title": "x" * 200}
                    await live.tell(connection, 1, "task_changed", data, people=people)
            both = [await first.next("task_changed") for _ in range(2)]
            assert [one["data"]["task_id"] for one in both] == [1, 1]
            assert (await second.next("task_changed"))["data"]["verb"] == "created"
            # the second message of all came after the first one, which was not for them
            assert [one for one in await second.until_pong() if one["type"] == "task_changed"] == []
            assert [one for one in await third.until_pong() if one["type"] == "task_changed"] == []
            assert len([one for one in second.seen if one["type"] == "task_changed"]) == 1
