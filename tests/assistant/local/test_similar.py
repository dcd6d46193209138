"""Which of several things some words mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.assistant.local.similar import choose, likeness
from mainstem.assistant.local.terms import Mentioned

TITLES = [
    "Prepare the board meeting",
    "Buy milk",
    "Buy milk powder",
    "Call Ana",
    "Pay the electricity bill",
    "Renew passport",
    "Meeting with Bo",
]
TASKS = [Mentioned("task", str(at), title) for at, title in enumerate(TITLES, 1)]


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        ("call ana", ["4"]),
        ("Buy milk", ["2"]),
        ("buy milk powder", ["3"]),
        ("milk powder", ["3"]),
        ("passport", ["6"]),
        ("electricity", ["5"]),
        ("the electricity bill task", ["5"]),
        ("board meeting", ["1"]),
        ("pasport", ["6"]),
        ("milk", ["2", "3"]),
        ("meeting", ["1", "7"]),
        ("dentist", []),
        ("", []),
        ("the", []),
        ("task", []),
    ],
)
def test_one_is_meant_or_several_or_none(find: str, expected: list[str]) -> None:
    chosen = choose(find, TASKS)
    found = [chosen] if isinstance(chosen, Mentioned) else list(chosen)
    assert sorted(thing.id for thing in found) == expected


def test_two_of_the_same_title_are_asked() -> None:
    twice = [Mentioned("task", "1", "Call Ana"), Mentioned("task", "2", "call ana!")]
    assert choose("call ana", twice) == tuple(twice)


@given(st.text(max_size=40), st.lists(st.text(max_size=40) | st.sampled_from(TITLES), max_size=8))
def test_whatever_the_words(find: str, titles: list[str]) -> None:
    things = [Mentioned("task", str(at), title) for at, title in enumerate(titles)]
    chosen = choose(find, things)
    assert chosen == choose(find, things)
    found = (chosen,) if isinstance(chosen, Mentioned) else chosen
    assert set(found) <= set(things)
    assert len(found) <= 5
    assert isinstance(chosen, Mentioned) or len(chosen) != 1


@given(st.text(max_size=40), st.text(max_size=40))
def test_likeness_is_a_share(one: str, other: str) -> None:
    assert 0 <= likeness(one, other) <= 1
