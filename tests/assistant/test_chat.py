"""Chat as the contract has it: answers, phrases, whose conversation it is, repetitions, questions, deletion, and ten people at once."""

import asyncio
from datetime import timedelta

from assistant.chatting import Scripted, Someone, desk
from assistant.test_tools import with_key

from mainstem.assistant import upkeep
from mainstem.assistant.ports import Answered, ModelUnavailableError, Usage
from mainstem.platform.clock import utc_now
from mainstem.platform.settings import Settings

FIELDS = {
    *("success", "conversation_id", "message_id", "response", "tool_calls", "tool_calls_executed", "message_count"),
    "execution_time_ms",
}


class TestContract:
    async def test_a_message_is_answered_with_every_field(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            made = await ann.say("create task: test task")
            assert set(made) >= FIELDS
            assert made["success"] is True
            assert made["tool_calls"] == made["tool_calls_executed"]
            (call,) = made["tool_calls"]
            assert (call["tool_name"], call["arguments"], call["status"]) == (
                "add_task",
                {"title": "test task"},
                "success",
            )
            assert call["result"] == {"task_id": 1, "status": "created", "title": "test task"}
            assert made["message_count"] == 2
            assert made["execution_time_ms"] > 0
            assert "test task" in made["response"]

            second = await ann.say("What's pending?", made["conversation_id"])
            assert second["conversation_id"] == made["conversation_id"]
            assert second["message_count"] == 4
            assert "test task" in second["response"]

            listed = (await ann.get("/conversations")).json()
            assert listed["success"] is True
            assert listed["count"] == 1
            assert set(listed["conversations"][0]) == {"id", "title", "created_at", "updated_at"}
            told = (await ann.get(f"/conversations/{made['conversation_id']}/messages")).json()
            assert told["messages"][0]["content"] == "create task: test task"
            assert [one["role"] for one in told["messages"]] == ["user", "assistant"] * 2
            assert told["messages"][1]["parent_id"] == told["messages"][0]["id"]
            assert await connection.fetchval("select count(*) from assistant.conversations") == 1
            assert await connection.fetchval("select count(*) from assistant.messages where role = 'tool'") == 2

            new = await ann.post("/conversations", {"title": "Plans"})
            assert new.status_code == 201
            assert new.json()["success"] is True
            assert new.json()["title"] == "Plans"
            assert (await ann.post("/conversations")).status_code == 201

            guest = await hub.someone("guest@example.org", role="guest")
            assert (await guest.say("Add a task to look around"))["tool_calls"][0]["status"] == "success"
            assert (await guest.say("Are there any open alerts?"))["tool_calls"] == []
            viewer = await hub.someone("viewer@example.org", role="viewer")
            assert (await viewer.say("Add a task to look around"))["tool_calls"] == []
            assert "no such alerts" in (await viewer.say("Are there any open alerts?"))["response"]

            own = await hub.client.post("/api/chat", json={"message": "hello"}, headers=ann.headers)
            assert own.status_code == 200
            assert (await hub.client.get("/api/conversations", headers=ann.headers)).json()["count"] == 4

    async def test_the_phrases_that_must_work(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            where = (await ann.say("Add a task to buy groceries"))["conversation_id"]
            await ann.say("I need to remember to pay bills", where)
            await ann.say("Add a task: meeting with Bob", where)
            titles = [title.lower() for title in await ann.titles()]
            assert titles == ["buy groceries", "meeting with bob", "pay bills"]
            everything = await ann.say("Show me all my tasks", where)
            assert all(word in everything["response"].lower() for word in ("groceries", "bills", "bob"))
            done = await ann.say("Mark task 2 as complete", where)
            assert done["tool_calls"][0]["result"]["status"] == "completed"
            assert "bills" not in (await ann.say("What's pending?", where))["response"].lower()
            assert "bills" in (await ann.say("What have I completed?", where))["response"].lower()
            changed = await ann.say("Change task 1 to 'Call mom tonight'", where)
            assert changed["tool_calls"][0]["result"] == {
                "task_id": 1,
                "status": "updated",
                "title": "Call mom tonight",
            }
            deleted = await ann.say("Delete the meeting task", where)
            assert [(one["tool_name"], one["status"]) for one in deleted["tool_calls"]] == [
                ("list_tasks", "success"),
                ("delete_task", "success"),
            ]
            assert [title.lower() for title in await ann.titles()] == ["call mom tonight", "pay bills"]

    async def test_it_asks_when_several_match_and_any_process_understands_the_reply(
        self, dsn, tmp_path, connection
    ) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            for title in ("Meeting with Bob", "Meeting with Eve"):
                await ann.use("add_task", title=title)
            asked = await ann.say("Delete the meeting task")
            assert "1. " in asked["response"]
            assert "2. " in asked["response"]
            assert len(await ann.titles()) == 2
            async with (other := hub.another()).client:
                one = Someone(other.client, ann.id, ann.headers)
                chosen = "1" if asked["response"].index("Bob") < asked["response"].index("Eve") else "2"
                done = await one.say(chosen, asked["conversation_id"])
            assert done["tool_calls"][0]["result"]["title"] == "Meeting with Bob"
            assert await ann.titles() == ["Meeting with Eve"]

    async def test_what_is_empty_or_too_long_is_a_400(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            for body in ({"message": ""}, {"message": "   \n"}, {"message": "x" * 4_097}, {}):
                answer = await ann.post("/chat", body)
                assert answer.status_code == 400
                assert answer.json()["field"] == "message"
            assert (await ann.send("x" * 4_096)).status_code == 200
            assert await connection.fetchval("select count(*) from assistant.conversations") == 1

    async def test_nobody_talks_for_another(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann, bob = await hub.someone(), await hub.someone("bob@example.org")
            made = await ann.say("Add a task to buy groceries")
            where, message = made["conversation_id"], made["message_id"]
            assert (await bob.send("Show me all my tasks", where)).status_code == 404
            for answer in (
                await bob.get(f"/conversations/{where}/messages"),
                await bob.get(f"/conversations/{where}/messages/{message}/stream"),
                await bob.post(f"/conversations/{where}/messages/{message}/feedback", {"rating": "up"}),
                await hub.client.delete(f"{bob.path}/conversations/{where}", headers=bob.headers),
                await bob.get(f"/conversations/{2**40}/messages"),
            ):
                assert answer.status_code == 404, answer.request.url
            assert (await bob.get("/conversations")).json()["conversations"] == []
            foreign = await hub.client.post(f"{ann.path}/chat", json={"message": "hi"}, headers=bob.headers)
            assert foreign.status_code == 403
            assert foreign.json()["detail"] == "User ID in path does not match authenticated user"
            assert (await hub.client.post(f"{ann.path}/chat", json={"message": "hi"})).status_code == 401
            key = await with_key(connection, "admin")
            assert (await hub.client.post("/api/chat", json={"message": "hi"}, headers=key)).status_code == 403
            assert "groceries" not in (await bob.say("Show me all my tasks"))["response"]

    async def test_ten_people_at_once_never_see_each_other(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            people = [await hub.someone(f"p{number}@example.org") for number in range(10)]

            async def live(number: int) -> None:
                one, secret = people[number], f"secret{number}"
                where = (await one.say(f"Add a task to feed {secret}"))["conversation_id"]
                for _ in range(3):
                    told = await one.say("Show me all my tasks", where)
                    assert secret in told["response"]
                    assert not any(f"secret{other}" in str(told) for other in range(10) if other != number)
                assert len((await one.get("/conversations")).json()["conversations"]) == 1
                assert (await one.get(f"/conversations/{where}/messages")).json()["count"] == 8

            await asyncio.gather(*(live(number) for number in range(10)))


class TestRepetition:
    async def test_the_same_key_acts_once_also_at_the_same_time(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann, bob = await hub.someone(), await hub.someone("bob@example.org")
            key = {"Idempotency-Key": "one"}
            answers = await asyncio.gather(*(ann.say("Add a task to buy milk", **key) for _ in range(8)))
            assert len({one["message_id"] for one in answers}) == 1
            assert await ann.titles() == ["buy milk"] or await ann.titles() == ["Buy milk"]
            assert (await ann.say("Add a task to buy milk", **key))["message_id"] == answers[0]["message_id"]
            other = await ann.send("Add a task to buy tea", **key)
            assert other.status_code == 409
            assert other.json()["code"] == "idempotency_key_reused"
            assert (await bob.say("Add a task to buy milk", **key))["message_id"] != answers[0]["message_id"]
            assert len(await ann.titles()) == 1

    async def test_one_answer_at_a_time_in_a_conversation(self, dsn, tmp_path, connection) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow(_talk, _hands, say) -> None:
            begun.set()
            await go.wait()
            await say("Done.")

        async with desk(dsn, tmp_path, connection, Scripted(slow)) as hub:
            ann = await hub.someone()
            where = (await ann.post("/conversations")).json()["id"]
            first = asyncio.create_task(ann.say("one", where))
            await begun.wait()
            second = await ann.send("two", where)
            assert second.status_code == 409
            assert second.json()["code"] == "turn_under_way"
            go.set()
            assert (await first)["response"] == "Done."
            assert (await ann.say("three", where))["message_count"] == 4

    async def test_who_hangs_up_gets_the_answer_later(self, dsn, tmp_path, connection) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow(_talk, hands, say) -> None:
            begun.set()
            await go.wait()
            await hands.call("add_task", {"title": "x"})
            await say("Done.")

        async with desk(dsn, tmp_path, connection, Scripted(slow)) as hub:
            ann = await hub.someone()
            asked = asyncio.create_task(ann.send("go", **{"Idempotency-Key": "k"}))
            await begun.wait()
            asked.cancel()
            go.set()
            again = await ann.say("go", **{"Idempotency-Key": "k"})
            assert again["response"] == "Done."
            assert await ann.titles() == ["x"]


class TestQuestions:
    async def test_a_question_is_answered_with_a_word_or_by_the_route_and_once(self, dsn, tmp_path, connection) -> None:
        async def deletes(talk, hands, say) -> None:
            if talk.message.startswith("clean"):
                outcome = await hands.call("delete_task", {"task_id": int(talk.message.split()[-1])})
                await say(outcome.question)
            else:
                await say("What?")

        async with desk(dsn, tmp_path, connection, Scripted(deletes)) as hub:
            ann, bob = await hub.someone(), await hub.someone("bob@example.org")
            for title in ("a", "b", "c"):
                await ann.use("add_task", title=title)
            asked = await ann.say("clean up 1")
            where = asked["conversation_id"]
            assert asked["approval"]["question"] == "Delete task 1, “a”?"
            assert asked["tool_calls"][0]["status"] == "approval_needed"
            assert len(await ann.titles()) == 3
            done = await ann.say("Yes!", where)
            assert done["response"] == "Deleted task 1: a."
            assert done["tool_calls"][0]["result"]["status"] == "deleted"
            assert (await ann.say("yes", where))["response"] == "What?"
            assert await ann.titles() == ["b", "c"]

            await ann.say("clean up 2", where)
            assert "leave it" in (await ann.say("no", where))["response"]
            assert await ann.titles() == ["b", "c"]

            asked = await ann.say("clean up 3", where)
            await ann.say("something else", where)
            assert (await ann.say("yes", where))["response"] == "What?"
            route = f"/conversations/{where}/approvals/{asked['approval']['approval_id']}"
            where_bob = (await bob.say("hi"))["conversation_id"]
            foreign = await bob.post(
                f"/conversations/{where_bob}/approvals/{asked['approval']['approval_id']}", {"approve": True}
            )
            assert foreign.json()["tool_calls"][0]["status"] == "error"
            assert await ann.titles() == ["b", "c"]
            assert (await ann.post(route, {"approve": True})).json()["response"] == "Deleted task 3: c."
            again = (await ann.post(route, {"approve": True})).json()
            assert "answered already" in again["response"]
            assert await ann.titles() == ["b"]

    async def test_a_task_that_the_person_names_exactly_is_deleted_at_once(self, dsn, tmp_path, connection) -> None:
        async def deletes(_talk, hands, say) -> None:
            outcome = await hands.call("delete_task", {"task_id": 1})
            await say(type(outcome).__name__)

        async with desk(dsn, tmp_path, connection, Scripted(deletes)) as hub:
            ann = await hub.someone()
            await ann.use("add_task", title="Meeting with Bob")
            assert (await ann.say("Delete task 2"))["response"] == "ConfirmationNeeded"
            assert (await ann.say("Delete the dentist task"))["response"] == "ConfirmationNeeded"
            assert (await ann.say("Show me all my tasks"))["response"] == "ConfirmationNeeded"
            assert (await ann.say("Please delete the meeting task"))["response"] == "Done"


class TestKeeping:
    async def test_a_failing_model_is_told_clearly_and_tried_again_under_the_same_key(
        self, dsn, tmp_path, connection
    ) -> None:
        down = [True]

        async def moody(_talk, hands, say) -> Answered:
            await hands.call("add_task", {"title": "once"})
            await say("So ")
            if down[0]:
                raise ModelUnavailableError(
                    "The language model did not answer in time.", usage=Usage(requests=1, prompt_tokens=7)
                )
            await say("far.")
            return Answered(usage=Usage(requests=2, prompt_tokens=10, completion_tokens=5))

        async with desk(dsn, tmp_path, connection, Scripted(moody)) as hub:
            ann = await hub.someone()
            failed = await ann.send("go", **{"Idempotency-Key": "k"})
            assert failed.status_code == 503
            assert failed.json()["code"] == "model_unavailable"
            assert failed.headers["retry-after"]
            down[0] = False
            again = await ann.say("go", **{"Idempotency-Key": "k"})
            assert again["response"] == "So far."
            assert await ann.titles() == ["once"]
            assert [one["status"] for one in again["tool_calls"]] == ["success"]

            used = (await hub.client.get("/api/v1/assistant/usage", headers=ann.headers)).json()
            (day,) = used["items"]
            assert (day["model"], day["turns"], day["failures"]) == ("scripted", 2, 1)
            assert (day["requests"], day["prompt_tokens"], day["completion_tokens"]) == (3, 17, 5)
            all_ = "/api/v1/assistant/usage?of=tenant"
            assert (await hub.client.get(all_, headers=ann.headers)).status_code == 403
            admin = await hub.client.get("/api/v1/assistant/usage", headers=await with_key(connection, "admin"))
            assert admin.json()["of"] == "tenant"
            assert admin.json()["items"][0]["turns"] == 2

    async def test_feedback_and_deletion(self, dsn, tmp_path, connection) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            made = await ann.say("Add a task to buy milk")
            where, message = made["conversation_id"], made["message_id"]
            feedback = f"/conversations/{where}/messages/{message}/feedback"
            assert (await ann.post(feedback, {"rating": "down", "note": "no"})).json()["rating"] == "down"
            told = (await ann.get(f"/conversations/{where}/messages")).json()["messages"]
            assert (told[1]["rating"], told[1]["note"]) == ("down", "no")
            assert (await ann.post(feedback, {"rating": None})).status_code == 200
            mine = f"/conversations/{where}/messages/{told[0]['id']}/feedback"
            assert (await ann.post(mine, {"rating": "up"})).status_code == 404
            assert (await ann.post(feedback, {"rating": "great"})).status_code == 422

            await ann.post("/chat", {"message": "Delete everything", "conversation_id": where, "stream": True})
            gone = await hub.client.delete(f"{ann.path}/conversations/{where}", headers=ann.headers)
            assert gone.json() == {"success": True, "conversation_id": where}
            for table in ("conversations", "messages", "turn_event", "approval"):
                assert await connection.fetchval(f"select count(*) from assistant.{table}") == 0
            assert (await ann.send("hello", where)).status_code == 404

    async def test_old_conversations_are_swept(self, dsn, tmp_path, connection, worker_pool) -> None:
        async with desk(dsn, tmp_path, connection) as hub:
            ann = await hub.someone()
            await ann.post("/chat", {"message": "hello", "stream": True})
            settings = Settings(_env_file=None, chat_retention_days=30)
            async with worker_pool.acquire() as worker:
                await upkeep.prune(worker, settings, utc_now() + timedelta(days=29))
                assert await connection.fetchval("select count(*) from assistant.conversations") == 1
                assert await connection.fetchval("select count(*) from assistant.turn_event") == 0
                await upkeep.prune(worker, settings, utc_now() + timedelta(days=31))
                assert await connection.fetchval("select count(*) from assistant.messages") == 0

    async def test_limits_of_messages_and_tokens(self, dsn, tmp_path, connection) -> None:
        async def hungry(_talk, _hands, say) -> Answered:
            await say("Yes.")
            return Answered(usage=Usage(requests=1, prompt_tokens=60, completion_tokens=40))

        limits = {"assistant_tokens_per_day": 150, "assistant_messages_per_minute": 3}
        async with desk(dsn, tmp_path, connection, Scripted(hungry), **limits) as hub:
            ann, bob = await hub.someone(), await hub.someone("bob@example.org")
            await ann.say("one")
            await bob.say("two")
            full = await ann.send("three")
            assert full.status_code == 429
            assert "tokens" in full.json()["detail"]
            assert int(full.headers["retry-after"]) > 0
            await connection.execute("truncate assistant.usage_day")
            answers = [await ann.send("again") for _ in range(4)]
            assert 429 in {one.status_code for one in answers}
            assert (await bob.send("again")).status_code in {200, 429}


async def test_long_conversations_are_shown_in_bounds_with_a_summary(dsn, tmp_path, connection) -> None:
    async def echo(talk, _hands, say) -> None:
        await say(f"Heard {talk.message}")

    model = Scripted(echo)
    bounds = {"max_conversation_history": 6, "conversation_history_characters": 1_000}
    async with desk(dsn, tmp_path, connection, model, **bounds) as hub:
        ann = await hub.someone()
        where = (await ann.say("message 0"))["conversation_id"]
        for number in range(1, 8):
            await ann.say(f"message {number}", where)
        last = model.talks[-1]
        assert [one.text for one in last.history] == [
            text for number in (4, 5, 6) for text in (f"message {number}", f"Heard message {number}")
        ]
        assert "They: message 0" in last.summary
        assert "You: Heard message 3" in last.summary
        assert "message 5" not in last.summary
        await ann.say("x" * 900, where)
        await ann.say("end", where)
        assert sum(len(one.text) for one in model.talks[-1].history) <= 1_000
