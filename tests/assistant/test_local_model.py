"""The local model at work: what it does at once, what it asks about first, what it remembers between two messages."""

from assistant.chatting import desk
from assistant.test_tools import with_key
from links.visiting import add_link


async def test_what_it_does_at_once_and_what_it_asks_about(dsn, tmp_path, connection) -> None:
    async with desk(dsn, tmp_path, connection) as hub:
        ann = await hub.someone(role="owner")
        for title in ("Meeting with Bob", "Water the plants", "Call the dentist"):
            await ann.use("add_task", title=title)

        where = (await ann.say("hello"))["conversation_id"]
        missing = await ann.say("Delete the zebra task", where)
        assert "no task like" in missing["response"].lower()
        assert len(await ann.titles()) == 3

        listed = await ann.say("Show me all my tasks", where)
        assert listed["tool_calls"][0]["status"] == "success"
        done = await ann.say("Mark the first one as done", where)
        assert done["tool_calls"][-1]["result"]["task_id"] == 3
        several = await ann.say("Add a task to buy milk and then show me all my tasks", where)
        assert [call["tool_name"] for call in several["tool_calls"]] == ["add_task", "list_tasks"]

        dated = await ann.say("Remind me to call the guest tomorrow at 5pm", where)
        assert dated["response"] == "Added task 5: call the guest, due tomorrow at 17:00."
        weekly = await ann.say("Add a task to water the garden every monday", where)
        assert weekly["response"].startswith("Added task 6: water the garden, due ")
        assert weekly["response"].endswith(", and again after that.")

        for words in (
            "Add the label garden to task 5",
            "Add the label phone to task 5",
            "Remove the label garden from task 5",
        ):
            assert (await ann.say(words, where))["response"].startswith("Changed task 5"), words
        await ann.say("Take the due date off task 5", where)
        task = next(task for task in (await ann.use("list_tasks")) if task["id"] == 5)
        assert (task["labels"], task["due_date"]) == (["phone"], None)

        none = await ann.say("Mark task 99 as complete", where)
        assert none["tool_calls"][0]["status"] == "error"
        assert none["response"] == "Task not found"

        alert = {"alert_type": "disk", "severity": "CRITICAL", "message": "Full."}
        headers = await with_key(connection, "admin")
        assert (await hub.client.post("/api/v1/alerts", json=alert, headers=headers)).status_code == 201
        assert "Full." in (await ann.say("Are there any open alerts?", where))["response"]
        known = await ann.say("Acknowledge alert 1", where)
        assert known["response"] == "Alert 1 is acknowledged."

        await add_link(connection, "summer", title="Summer party")
        clicks = await ann.say("How many clicks did link summer get?", where)
        assert [call["tool_name"] for call in clicks["tool_calls"]] == ["search_links", "link_stats"]
        assert "Summer party: 0 clicks" in clicks["response"]
