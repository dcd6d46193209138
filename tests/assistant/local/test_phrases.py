"""The labelled sentences: what share is understood, and that nothing is done on a wrong reading.

`phrases/english.jsonl` was labelled before there were rules, `phrases/fresh.jsonl` when the rules were done; docs/guides/assistant-phrases.md
has the figures of the first sight and how they were taken.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mainstem.assistant.local.reading import Act, Ask, Context, Mentioned, Option, Question, Reading, understand

FILES = sorted((Path(__file__).parent.parent / "phrases").glob("*.jsonl"))
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 10, tzinfo=BERLIN)
"""A Tuesday."""
TOOLS = frozenset(
    "add_task list_tasks complete_task delete_task update_task search_links link_stats customer_journey failing_webhooks resend_delivery "
    "list_alerts acknowledge_alert run_reconciliation explain_booking".split()
)


def rows() -> Iterator[dict[str, Any]]:
    for path in FILES:
        yield from (json.loads(line) for line in path.read_text().splitlines())


def act(given: Mapping[str, Any]) -> Act:
    then = tuple(act(more) for more in given.get("then", ()))
    return Act(given["tool"], given["arguments"], 1.0, given.get("find"), then)


def context(given: Mapping[str, Any]) -> Context:
    question = given.get("question")
    options = tuple(Option(label, act(reading)) for label, reading in question["options"]) if question else ()
    return Context(
        now=NOW,
        zone=BERLIN,
        tools=frozenset(given.get("tools", TOOLS)),
        mentioned=tuple(Mentioned(*thing) for thing in given.get("mentioned", ())),
        question=Question(question["text"], options) if question else None,
    )


def call(reading: Act) -> tuple[object, ...]:
    return reading.tool, reading.arguments, (reading.find or "").casefold(), [call(more) for more in reading.then]


def is_right(reading: Reading, expected: Mapping[str, Any]) -> bool:
    kinds = [expected["kind"]] if isinstance(expected["kind"], str) else expected["kind"]
    if type(reading).__name__.lower() not in kinds:
        return False
    if isinstance(reading, Act):
        return call(reading) == call(act(expected))
    offered = {option.reading.tool for option in reading.options} if isinstance(reading, Ask) else set()
    return not isinstance(reading, Ask) or set(expected.get("options", ())) <= offered


def read(row: Mapping[str, Any]) -> Reading:
    return understand(row["text"], context(row.get("context", {})))


def test_at_least_95_of_100_are_right_and_none_is_done_that_should_be_asked() -> None:
    all_rows = list(rows())
    assert len(all_rows) >= 9 + 120 + 60
    readings = [(row, read(row)) for row in all_rows]
    missed = [row["text"] for row, reading in readings if not is_right(reading, row["expect"])]
    acted = [
        row["text"] for row, reading in readings if isinstance(reading, Act) and not is_right(reading, row["expect"])
    ]
    assert len(missed) <= 0.05 * len(all_rows), missed
    assert acted == []


@pytest.mark.parametrize("row", [row for row in rows() if row["group"] == "contract"], ids=lambda row: row["text"])
def test_phrases_of_the_contract(row: Mapping[str, Any]) -> None:
    assert is_right(read(row), row["expect"])


@pytest.mark.parametrize(
    "form", ["please {}", "{}.", "  {}\n", "Hey, {} please", "ok, {}!", "{} thanks", "assistant, {}"]
)
def test_politeness_changes_nothing(form: str) -> None:
    for row in rows():
        if row["group"] == "contract":
            text = form.format(row["text"].rstrip("?"))
            assert is_right(understand(text, context({})), row["expect"]), text
            assert is_right(understand(row["text"][0].swapcase() + row["text"][1:], context({})), row["expect"]), text


def test_questions_back_offer_something_to_choose() -> None:
    asked = [(row["text"], reading) for row in rows() if isinstance(reading := read(row), Ask)]
    assert asked
    assert all(len(reading.options) <= 2 and reading.text for _, reading in asked)


def test_no_sentence_is_labelled_twice() -> None:
    seen = [(row["text"], json.dumps(row.get("context"))) for row in rows()]
    assert len(seen) == len(set(seen))


GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "assistant-phrases.md"


def test_the_guide_says_what_is_called() -> None:
    said = re.findall(r"^\| `(.+?)` \| `(\w+)`(?:, then `(\w+)`)?", GUIDE.read_text(), re.MULTILINE)
    assert len(said) > 25
    for text, *tools in said:
        reading = understand(text, context({}))
        assert isinstance(reading, Act), text
        assert [reading.tool, *(more.tool for more in reading.then)][: 2 if tools[1] else 1] == [
            tool for tool in tools if tool
        ], text


def test_the_guide_says_what_is_not_done() -> None:
    rows_of = GUIDE.read_text().split("## When it asks")[1].split("\n## ")[0]
    said = re.findall(r"`(.+?)`(?=, | \|)", rows_of.split("A question is answered")[0])
    assert len(said) >= 12
    for text in said:
        reading = understand(text, context({}))
        assert not isinstance(reading, Act) or reading.tool == "add_task", text
