"""Labels: what an alert is about, which alerts are the same, and which ones a silence means. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. In the value, `*` stands for any characters. An absent label has the value ``."""

    name: str
    value: str
    is_equal: bool = True
    """False: the label must not match."""


def fingerprint(source: str, labels: Labels, *more: str) -> str:
    """Return the identity of an alert: 16 hexadecimal digits of its source (`rule:<id>` or `api`) and its labels.

    The parts are written with their lengths, so that no two sets of labels look alike.
    """
    parts = [source, *(part for name in sorted(labels) for part in (name, labels[name])), *more]
    return sha256(b"".join(b"%d:%s" % (len(one), one) for one in map(str.encode, parts))).hexdigest()[:16]


def matches(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Tell whether all matchers hold for labels."""
    return all(like(one.value, labels.get(one.name, "")) == one.is_equal for one in matchers)


def like(pattern: str, text: str) -> bool:
    """Tell whether a text is like a pattern, in which `*` stands for any characters; takes linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        # the earliest place leaves most room for what follows
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def common(sets: Sequence[Labels]) -> dict[str, str]:
    """Return the labels that all sets share; none of no sets."""
    if not sets:
        return {}
    first, *rest = sets
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in rest)}
