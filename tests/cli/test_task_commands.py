"""`mainstem task`: what is printed, and the exit codes."""

import json


def test_tasks_are_made_listed_done_and_removed(on_database, dsn: str, monkeypatch) -> None:
    monkeypatch.setenv("MAINSTEM_PASSWORD", "correct horse")
    who = ("--user", "ann@example.org")
    assert on_database("user", "create", "ann@example.org", "--tenant", "default").code == 0
    made = on_database("task", "add", "Buy groceries", *who, "--label", "home", "--due", "2031-05-01", "--json")
    assert made.code == 0, made.err
    task = json.loads(made.out)
    assert (task["id"], task["title"], task["labels"], task["all_day"]) == (1, "Buy groceries", ["home"], True)
    assert "Buy groceries" in on_database("task", "list", *who).out
    assert json.loads(on_database("task", "list", *who, "--label", "work", "--json").out) == []
    assert on_database("task", "done", "1", *who).code == 0
    assert json.loads(on_database("task", "list", *who, "--json").out) == []
    (done,) = json.loads(on_database("task", "list", *who, "--status", "all", "--json").out)
    assert done["completed"] is True
    assert on_database("task", "rm", "1", *who).code == 0
    gone = on_database("task", "rm", "1", *who)
    assert (gone.code, gone.err.strip()) == (1, "mainstem: Task not found")
    assert on_database("task", "add", "x", *who, "--due", "no day").code == 1
    assert on_database("task", "list", "--user", "nobody@example.org").code == 1
    assert on_database("task", "list", *who, "--sort", "size").code == 2
