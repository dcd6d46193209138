"""What of a conversation a model is shown: the newest messages within bounds, older ones as a summary. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mainstem.assistant.ports import Said

LONGEST_SUMMARY: Final = 4_000
"""Characters."""
_LONGEST_LINE: Final = 160
_WHO: Final = {"user": "They", "assistant": "You"}


@dataclass(frozen=True, slots=True)
class Window:
    """A conversation parted in two."""

    dropped: int
    """How many of the oldest messages are not shown."""
    shown: tuple[Said, ...]


def window(messages: Sequence[Said], *, most: int, characters: int) -> Window:
    """Return the newest messages: at most `most`, and of them as many as have `characters` together.

    It begins with a message of the person, so that no answer stands without its question.
    """
    start = max(len(messages) - most, 0)
    room = characters
    for number in range(len(messages) - 1, start - 1, -1):
        room -= len(messages[number].text)
        if room < 0:
            start = number + 1
            break
    while start < len(messages) and messages[start].role != "user":
        start += 1
    return Window(start, tuple(messages[start:]))


def folded(summary: str, dropped: Sequence[Said]) -> str:
    """Return a summary with further messages in it: a line each, of which the newest stay when it grows too long."""
    lines = [line for line in summary.split("\n") if line]
    lines += [_line(one) for one in dropped]
    kept: list[str] = []
    room = LONGEST_SUMMARY
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def title_of(message: str) -> str:
    """Return a title for a conversation that begins with a message: its first words."""
    words = " ".join(message.split())
    return words if len(words) <= 60 else words[:59].rstrip() + "…"


def _line(one: Said) -> str:
    text = " ".join(one.text.split())
    done = ", ".join(f"{call.tool_name} {call.status}" for call in one.calls)
    line = f"{_WHO.get(one.role, one.role)}: {text}"
    line = line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
    return f"{line} [{done}]" if done else line
