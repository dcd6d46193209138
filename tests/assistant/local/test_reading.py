"""What holds for any text, and conversations of more than one sentence."""

import re
from dataclasses import replace
from datetime import datetime
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainstem.assistant.local.guards import negated
from mainstem.assistant.local.reading import (
    Act,
    Ask,
    Context,
    Mentioned,
    Question,
    Reading,
    Refuse,
    Talk,
    understand,
)
from mainstem.assistant.local.said import said

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 10, tzinfo=BERLIN)
TOOLS = frozenset(
    "add_task list_tasks complete_task delete_task update_task search_links link_stats customer_journey failing_webhooks resend_delivery "
    "list_alerts acknowledge_alert run_reconciliation explain_booking".split()
)
SHOWN = (Mentioned("task", "3", "Buy milk"), Mentioned("alert", "9", "LoaderLag"))
HERE = Context(NOW, BERLIN, TOOLS, SHOWN)
FINAL = {"delete_task", "complete_task"}

PIECES = st.sampled_from(
    "delete remove complete finish mark done task tasks 3 #4 the meeting it all everything and or not don't never no unless if maybe please add show list my "
    "rename to 'quoted words' \"delete task 3\" tomorrow friday high priority acknowledge alert 5 resend delivery 7 booking 12 is was , . ? ! : ; one first second of user 7 \n".split(
        " "
    )
)
TEXTS = st.lists(PIECES, max_size=10).map(" ".join) | st.text(max_size=80)
NEGATIONS = st.sampled_from(
    [
        "don't {}",
        "do not {}",
        "never {}",
        "please don't {}",
        "{} - no, don't",
        "I do not want to {}",
        "no need to {}",
        "you must not {}",
        "{}? no",
        "not {}",
        "I won't {}",
    ]
)
FINAL_ACTS = st.sampled_from(
    [
        "delete task 3",
        "complete task 4",
        "mark task 2 as done",
        "remove the meeting task",
        "delete it",
        "delete tasks 1 and 2",
        "finish the first one",
        "delete 'Buy milk'",
    ]
)


def acts(reading: Reading) -> list[Act]:
    return [reading, *reading.then] if isinstance(reading, Act) else []


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("\ue000")
@example("''")
@example("'" * 200)
def test_whatever_the_text(text: str) -> None:
    reading = understand(text, HERE)
    assert reading == understand(text, HERE)
    assert isinstance(reading, Act | Ask | Refuse | Talk)
    for act in acts(reading):
        assert act.tool in TOOLS
        assert 0 < act.confidence <= 1
        assert act.find or act.tool not in FINAL | {"update_task"} or act.arguments["task_id"]
        title = act.arguments.get("title", "x")
        assert isinstance(title, str)
        assert 0 < len(title) <= 200
        assert not re.search("[\ue000-\uf8ff]", str(act))
    # what can't be undone needs words that deny nothing, and says which
    if FINAL & {act.tool for act in acts(reading)}:
        assert not negated(said(text).words)


@given(NEGATIONS, FINAL_ACTS)
def test_a_negation_never_deletes_or_completes(form: str, command: str) -> None:
    assert not FINAL & {act.tool for act in acts(understand(form.format(command), HERE))}


@given(
    FINAL_ACTS,
    st.sampled_from(
        [
            "should I {}?",
            "what happens if I {}?",
            "how do I {}?",
            "maybe {}",
            "{} if it rains",
            'he said "{}"',
            '"{}"',
            "did you {}?",
        ]
    ),
)
def test_doubt_questions_and_quotations_never_delete_or_complete(command: str, form: str) -> None:
    assert not FINAL & {act.tool for act in acts(understand(form.format(command), HERE))}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["add a task: ", "remind me to ", "create task ", "todo: ", "don't forget to "]), TEXTS)
def test_a_task_that_is_added_only_adds(lead: str, title: str) -> None:
    assert {act.tool for act in acts(understand(lead + title, HERE))} <= {"add_task", "list_tasks"}


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sets(st.sampled_from(sorted(TOOLS))))
def test_only_tools_that_are_there(text: str, tools: set[str]) -> None:
    reading = understand(text, replace(HERE, tools=frozenset(tools)))
    offered = [option.reading for option in reading.options] if isinstance(reading, Ask) else []
    for act in [*acts(reading), *(each for option in offered for each in acts(option))]:
        assert act.tool in tools


ASKED = understand("delete task 3 or 4", HERE)


@settings(max_examples=100, deadline=None)
@given(TEXTS | st.sampled_from(["yes", "no", "1", "2", "the last", "neither", "maybe", "Delete task 4"]))
def test_an_answer_chooses_one_of_the_options_or_is_something_new(text: str) -> None:
    assert isinstance(ASKED, Ask)
    asked = replace(HERE, question=Question(ASKED.text, ASKED.options))
    reading = understand(text, asked)
    chosen = [option.reading for option in ASKED.options]
    assert reading in chosen or isinstance(reading, Ask | Talk) or reading == understand(text, HERE)


def test_a_tool_that_is_missing_is_refused_by_name() -> None:
    reading = understand("delete task 3", replace(HERE, tools=frozenset({"add_task"})))
    assert isinstance(reading, Refuse)
    assert "delete task" in reading.text


def test_a_question_is_answered_by_number_by_name_or_not_at_all() -> None:
    asked = understand("delete task 3 or 4", HERE)
    assert isinstance(asked, Ask)
    later = replace(HERE, question=Question(asked.text, asked.options))
    assert understand("the second", later) == asked.options[1].reading
    assert understand("Delete task 3", later) == asked.options[0].reading
    assert isinstance(understand("neither", later), Talk)
    again = understand("yes", later)
    assert isinstance(again, Ask)
    assert again.options == asked.options
    # something else asks for something else
    assert acts(understand("what's pending?", later))[0].tool == "list_tasks"


@pytest.mark.parametrize(
    ("shown", "text", "expected"),
    [
        ((), "complete it", None),
        (SHOWN, "complete it", 3),
        ((Mentioned("task", "3", "a"), Mentioned("task", "8", "b")), "complete it", None),
        ((Mentioned("task", "3", "a"), Mentioned("task", "8", "b")), "complete the last one", 8),
        ((Mentioned("task", "x", "a"),), "complete it", None),
        ((Mentioned("link", "3", "a"),), "complete it", None),
    ],
)
def test_what_was_shown(shown: tuple[Mentioned, ...], text: str, expected: int | None) -> None:
    reading = understand(text, replace(HERE, mentioned=shown))
    assert (reading.arguments if isinstance(reading, Act) else None) == (expected and {"task_id": expected})


def test_long_texts_are_tasks_or_nothing() -> None:
    long = "explain to the board why the numbers of this year differ from those of the last one, " * 48
    reading = understand(f"add a task to {long}"[:4096], HERE)
    assert isinstance(reading, Act)
    title, description = reading.arguments["title"], reading.arguments["description"]
    assert isinstance(title, str)
    assert isinstance(description, str)
    assert title.endswith("\u2026")
    assert description.startswith("explain to the board")
    assert len(description) <= 1024
    assert isinstance(understand(f"delete {long}"[:4096], HERE), Refuse)


def test_several_lines_are_several_tasks_or_a_description() -> None:
    listed = understand("add tasks:\n1. pack\n2. print tickets tomorrow\n- lock up", HERE)
    assert [act.arguments["title"] for act in acts(listed)] == ["pack", "print tickets", "lock up"]
    described = understand("add a task to pack\nthe green bag\nand the boots", HERE)
    assert acts(described)[0].arguments == {"title": "pack", "description": "the green bag\nand the boots"}


HEAVY = [
    "a " * 2048,
    "delete " * 585,
    "'" * 4096,
    "' " * 2048,
    "add " * 1024,
    "add a task to " + "june 1 at 5 " * 340,
    "every monday at 9 " * 227,
    "delete task 3 and " * 227,
    "check booking " * 290,
    ("add tasks: " + "buy milk, " * 500)[:4096],
    "\n" * 4096,
    "show tasks about " * 240,
    "x" * 4096,
    ("show tasks about " * 240)[:590],
    ("check booking " * 290)[:590],
    ("delete task 3 and " * 227)[:590],
    ("or and " * 100)[:590],
    # as long as a command may be
    "a, and " * 80,
    "a and " * 100,
    "the x task can be moved, " * 24,
    "thanks, " * 75,
    "on " * 190 + "i need to x",
    "It's 5, so please it. " * 27,
    "was, has been, is done " * 26,
    "(" * 300 + ")" * 300,
]


def test_no_text_takes_much_longer_than_another_of_its_length() -> None:
    """The longest takes at most as long as 500 plain sentences: a ratio within one run, for machines differ."""
    understand("add a task to buy milk on june 1", HERE)  # loads what is loaded once

    def fastest(text: str, times: int) -> float:
        taken = []
        for _ in range(times):
            start = perf_counter()
            understand(text, HERE)
            taken.append(perf_counter() - start)
        return min(taken)

    plain = fastest("mark the report task as done", 20)
    assert {text[:20]: fastest(text, 3) / plain for text in HEAVY if fastest(text, 3) > 500 * plain} == {}
