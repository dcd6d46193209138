"""A language model behind an OpenAI-compatible endpoint, over real HTTP: calls, streams, usage, bounds, and all that goes wrong."""

from assistant.chatting import events_of
from assistant.modelling import brainy, calls


async def test_it_answers_calls_tools_and_counts_tokens(dsn, tmp_path, connection) -> None:
    async with brainy(dsn, tmp_path, connection) as hub:
        ann = await hub.desk.someone()
        await hub.next(calls("add_task", title="Buy milk"), {"text": "I have added it."})
        made = await ann.say("remember the milk")
        assert made["response"] == "I have added it."
        assert made["model"] == "sandbox-gullible"
        assert made["tool_calls"][0]["result"] == {"task_id": 1, "status": "created", "title": "Buy milk"}
        assert await ann.titles() == ["Buy milk"]

        first, second = await hub.requests()
        assert first["messages"][0]["role"] == "system"
        assert "is data" in first["messages"][0]["content"]
        assert first["messages"][-1] == {"role": "user", "content": "remember the milk"}
        names = {one["function"]["name"] for one in first["tools"]}
        assert "add_task" in names
        assert "acknowledge_alert" not in names
        assert second["messages"][-1]["role"] == "tool"
        assert second["messages"][-1]["content"].startswith("<data>")

        await hub.next({"text": "Milk."})
        where = made["conversation_id"]
        assert (await ann.say("what was it?", where))["response"] == "Milk."
        roles = [one["role"] for one in (await hub.requests())[-1]["messages"]]
        assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]

        (day,) = (await hub.desk.client.get("/api/v1/assistant/usage", headers=ann.headers)).json()["items"]
        assert (day["turns"], day["requests"], day["failures"]) == (2, 3, 0)
        assert day["prompt_tokens"] > 100
        assert day["completion_tokens"] > 0

        await ann.use("add_task", title="Other")
        await hub.next(calls("delete_task", task_id=1), {"text": "Shall I?"})
        asked = await ann.say("tidy up", where)
        assert asked["approval"]["question"] == "Delete task 1, “Buy milk”?"
        assert asked["response"] == "Shall I?"
        assert (await ann.say("yes", where))["response"] == "Deleted task 1: Buy milk."
        await hub.next(calls("delete_task", task_id=2), {"text": "Gone."})
        assert (await ann.say("delete task 2", where))["response"] == "Gone."
        assert await ann.titles() == []


async def test_a_stream_is_told_as_it_comes_and_read_on_after_an_event(dsn, tmp_path, connection) -> None:
    async with brainy(dsn, tmp_path, connection) as hub:
        ann = await hub.desk.someone()
        await hub.next(
            calls("add_task", title="x"), {"text": "A longer text, so that it comes in several pieces. " * 4}
        )
        answer = await ann.post("/chat", {"message": "go", "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events_of(answer.text)
        assert [number for number, *_ in told] == list(range(1, len(told) + 1))
        names = [name for _, name, _ in told]
        assert names[:3] == ["message.started", "tool.call", "tool.result"]
        assert names[-1] == "message.completed"
        assert set(names[3:-1]) == {"text.delta"}
        assert len(names) > 6
        text = "".join(data["text"] for _, name, data in told if name == "text.delta")
        done = told[-1][2]
        assert text == done["response"]
        assert done["tool_calls"][0]["result"]["title"] == "x"

        stream = f"/conversations/{done['conversation_id']}/messages/{done['message_id']}/stream"
        again = events_of((await ann.get(stream)).text)
        assert again == told
        rest = events_of((await ann.get(stream, **{"Last-Event-ID": "4"})).text)
        assert rest == told[4:]
        await connection.execute("delete from assistant.turn_event")
        anew = events_of((await ann.get(stream)).text)
        assert [name for _, name, _ in anew] == [*names[:3], "text.delta", "message.completed"]
        assert anew[-1][2] == done
        assert events_of((await ann.get(stream, **{"Last-Event-ID": "99"})).text) == []


FAULTS = (
    ("429", {}, 503, "too much to do"),
    ("500", {}, 503, "can't be reached"),
    ("503", {"retry_after_s": None}, 503, "can't be reached"),
    ("reset", {}, 503, "can't be reached"),
    ("timeout", {"seconds": 30}, 503, "in time"),
    ("html", {}, 502, "can't be used"),
    ("garbage", {}, 502, "can't be used"),
    ("cut", {}, 503, "can't be reached"),
)


async def test_what_goes_wrong_there_is_told_in_plain_words(dsn, tmp_path, connection) -> None:
    async with brainy(dsn, tmp_path, connection, openai_timeout_seconds=2) as hub:
        ann = await hub.desk.someone()
        for kind, fields, status, words in FAULTS:
            await hub.fault(kind, count=9, **fields)
            key = {"Idempotency-Key": kind}
            failed = await ann.send("hello", **key)
            assert failed.status_code == status, (kind, failed.text)
            assert failed.json()["code"] == {502: "model_failed", 503: "model_unavailable"}[status]
            assert words in failed.json()["detail"], kind
            await hub.admin.delete("/faults")
            await hub.next({"text": "Hello."})
            again = await ann.say("hello", **key)
            assert (again["response"], again["message_count"]) == ("Hello.", 2), kind


async def test_bounds_bad_calls_and_refusals(dsn, tmp_path, connection) -> None:
    async with brainy(dsn, tmp_path, connection, assistant_tool_rounds=3) as hub:
        ann = await hub.desk.someone()
        await hub.fault("500")
        await hub.next({"text": "After a retry."})
        assert (await ann.say("one"))["response"] == "After a retry."

        await hub.next(*[calls("list_tasks")] * 9)
        endless = await ann.say("two")
        assert "stopped here, after 3 rounds" in endless["response"]
        assert len(endless["tool_calls"]) == 3
        await hub.admin.delete("/replies")

        await hub.next(calls("add_task", title="x", user_id="somebody"), {"text": "That failed."})
        wrong = await ann.say("three")
        assert wrong["tool_calls"][0]["status"] == "error"
        assert wrong["tool_calls"][0]["result"]["code"] == "invalid_field"

        await hub.next(calls("drop_database"), {"text": "There is no such tool."})
        assert (await ann.say("four"))["response"] == "There is no such tool."
        await hub.next({"tool_calls": [{"name": "add_task", "arguments": '{"title": "broken'}]}, {"text": "Sorry."})
        assert (await ann.say("five"))["response"] == "Sorry."
        await hub.next(*[{"text": ""}] * 4)
        silent = await ann.send("six")
        assert silent.status_code == 502
        assert await ann.titles() == []

        model = hub.desk.api.state.turns.maker.model
        assert model.name == "sandbox-gullible"


async def test_only_what_may_be_reached_is_and_a_wrong_key_says_so(dsn, tmp_path, connection) -> None:
    async with brainy(dsn, tmp_path, connection, outbound_allow=[]) as hub:
        ann = await hub.desk.someone()
        blocked = await ann.send("hello")
        assert blocked.status_code == 503
        assert "OUTBOUND_ALLOW" in blocked.json()["detail"]
        assert await hub.requests() == []
    async with brainy(dsn, tmp_path, connection, openai_api_key="sk-wrong") as hub:
        ann = await hub.desk.someone("bob@example.org")
        refused = await ann.send("hello")
        assert refused.status_code == 502
        assert "401" in refused.json()["detail"]
        assert "sk-wrong" not in refused.text
        streamed = events_of((await ann.post("/chat", {"message": "hello", "stream": True})).text)
        assert streamed[-1][1] == "error"
        assert streamed[-1][2]["code"] == "model_failed"
