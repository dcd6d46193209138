"""What of a conversation is shown, what of it is kept in short, and what is a yes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.assistant.chat.history import LONGEST_SUMMARY, folded, title_of, window
from mainstem.assistant.chat.replies import yes_or_no
from mainstem.assistant.ports import CallMade, Said

CALL = CallMade("c", "add_task", {}, "success", {})
MESSAGES = st.lists(
    st.builds(Said, st.sampled_from(["user", "assistant"]), st.text(max_size=80), st.sampled_from([(), (CALL,)])),
    max_size=30,
)


@given(MESSAGES, st.integers(1, 20), st.integers(0, 400))
def test_the_window_is_the_end_of_the_conversation_within_its_bounds(messages, most, characters) -> None:
    found = window(messages, most=most, characters=characters)
    assert list(found.shown) == messages[found.dropped :]
    assert len(found.shown) <= most
    assert sum(len(one.text) for one in found.shown) <= characters
    assert not found.shown or found.shown[0].role == "user"


@given(st.text(max_size=6_000), MESSAGES)
def test_a_summary_never_grows_beyond_its_bounds_and_keeps_the_newest(summary, dropped) -> None:
    once = folded(summary, dropped)
    assert len(once) <= LONGEST_SUMMARY
    assert folded(folded(summary, dropped[:5]), dropped[5:]) == once or len(once) >= LONGEST_SUMMARY - 200
    assert folded("", [Said("user", "the last", ())]) == "They: the last"


@given(st.text(min_size=1, max_size=5_000))
def test_a_title_is_one_short_line(message) -> None:
    assert len(title_of(message)) <= 60
    assert "\n" not in title_of(message)


@pytest.mark.parametrize("text", ["yes", "Yes!", " y ", "OK.", "do it", "Go ahead", "yes please", "Approve"])
def test_a_yes(text) -> None:
    assert yes_or_no(text) is True


@pytest.mark.parametrize("text", ["no", "No.", "nope", "don\u2019t", "never mind", "cancel", "no thanks"])
def test_a_no(text) -> None:
    assert yes_or_no(text) is False


@pytest.mark.parametrize(
    "text", ["", "yes but not that one", "no, the other", "maybe", "yesterday", "delete it", "ok then show all"]
)
def test_neither(text) -> None:
    assert yes_or_no(text) is None
