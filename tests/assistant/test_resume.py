"""Answers whose process has died or hangs: another process makes them, and nothing is done twice."""

import asyncio

from assistant.chatting import Scripted, desk, events_of

LATE = "update assistant.conversations set turn_until = now() - interval '1 second'"


async def test_an_answer_is_taken_up_by_another_process_with_the_calls_that_were_made(
    dsn, tmp_path, connection
) -> None:
    hangs, wake = asyncio.Event(), asyncio.Event()

    async def hanging(_talk, hands, say) -> None:
        await hands.call("add_task", {"title": "once"})
        await say("Half of ")
        hangs.set()
        await wake.wait()
        await hands.call("add_task", {"title": "too late"})
        await say("nothing.")

    async def healthy(talk, hands, say) -> None:
        assert [call.tool_name for call in talk.done] == ["add_task"]
        outcome = await hands.call("add_task", {"title": "once"})
        await hands.call("add_task", {"title": "twice"})
        await say(f"All of it, task {outcome.data['task_id']} too.")

    async with desk(dsn, tmp_path, connection, Scripted(hanging)) as first:
        ann = await first.someone()
        asked = asyncio.create_task(ann.post("/chat", {"message": "go", "stream": True}))
        await hangs.wait()
        (row,) = await connection.fetch(
            "select id, conversation_id, unfinished from assistant.messages where role = 'assistant'"
        )
        assert row["unfinished"]
        told = (await ann.get(f"/conversations/{row['conversation_id']}/messages")).json()
        assert told["messages"][-1]["unfinished"] is True
        assert (await ann.send("more", row["conversation_id"])).status_code == 409

        await connection.execute(LATE)
        async with (second := first.another(Scripted(healthy))).client:
            path = f"{ann.path}/conversations/{row['conversation_id']}/messages/{row['id']}/stream"
            answer = await second.client.get(path, headers=ann.headers)
            told = events_of(answer.text)
            names = [name for _, name, _ in told]
            assert names.count("message.started") == 2
            assert [data["resumed"] for _, name, data in told if name == "message.started"] == [False, True]
            assert names[-1] == "message.completed"
            done = told[-1][2]
            assert done["response"] == "All of it, task 1 too."
            assert [call["arguments"]["title"] for call in done["tool_calls"]] == ["once", "twice"]
            # the one that was taken for dead comes back, and can do no more
            wake.set()
            assert events_of((await asked).text)[-1][2] == done
            await first.api.state.turns.stop()
            assert await ann.titles() == ["once", "twice"]
            kept = (await ann.get(f"/conversations/{row['conversation_id']}/messages")).json()["messages"][-1]
            assert (kept["content"], kept["unfinished"]) == ("All of it, task 1 too.", False)


async def test_a_process_that_ends_leaves_its_answers_to_others(dsn, tmp_path, connection) -> None:
    hangs = asyncio.Event()

    async def hanging(_talk, _hands, _say) -> None:
        hangs.set()
        await asyncio.Event().wait()

    async def quick(_talk, _hands, say) -> None:
        await say("Here.")

    async with desk(dsn, tmp_path, connection, Scripted(hanging)) as first:
        ann = await first.someone()
        key = {"Idempotency-Key": "k"}
        asked = asyncio.create_task(ann.send("go", **key))
        await hangs.wait()
        asked.cancel()
        async with asyncio.timeout(30):
            await first.api.state.turns.stop()
        async with (second := first.another(Scripted(quick))).client:
            headers = {**ann.headers, **key}
            again = await second.client.post(f"{ann.path}/chat", json={"message": "go"}, headers=headers)
            assert again.json()["response"] == "Here."
            assert again.json()["message_count"] == 2
            # a conversation that has gone on leaves an answer behind
            where = again.json()["conversation_id"]
            old = again.json()["message_id"]
            await second.client.post(
                f"{ann.path}/chat", json={"message": "on", "conversation_id": where}, headers=ann.headers
            )
            await connection.execute("update assistant.messages set error = 'internal' where id = $1", old)
            failed = await second.client.post(f"{ann.path}/chat", json={"message": "go"}, headers=headers)
            assert failed.status_code == 500
