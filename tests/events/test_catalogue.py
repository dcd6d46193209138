"""The catalogue and its dotted patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.events.catalogue import KINDS, describe, matches

Kinds = st.lists(st.sampled_from(["page", "site", "viewed", "a", "b"]), min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("pattern", "kind", "expected"),
    [
        ("*", "page.viewed", True),
        ("*", "hello", True),
        ("page.*", "page.viewed", True),
        ("page.*", "page", False),
        ("page.*", "pages.viewed", False),
        ("site.*", "site.form.sent", True),
        ("*.viewed", "page.viewed", True),
        ("*.viewed", "a.page.viewed", False),
        ("*.*", "page", False),
        ("page.viewed", "page.viewed", True),
        ("page.viewed", "page.viewed.twice", False),
        ("page.viewed", "page_viewed", False),
    ],
)
def test_patterns(pattern: str, kind: str, *, expected: bool) -> None:
    assert matches(pattern, kind) is expected


@given(kind=Kinds)
def test_a_kind_matches_itself_the_star_and_its_own_families(kind: str) -> None:
    words = kind.split(".")
    assert matches(kind, kind)
    assert matches("*", kind)
    assert all(matches(".".join([*words[:length], "*"]), kind) for length in range(len(words)))
    assert not matches(f"{kind}.*", kind)


@given(kind=Kinds)
def test_every_kind_is_described(kind: str) -> None:
    assert matches(describe(kind).pattern, kind)


def test_the_most_special_entry_describes() -> None:
    assert [describe(kind).pattern for kind in ("page.viewed", "site.click", "parcel.updated")] == [
        "page.viewed",
        "site.*",
        "*",
    ]


@pytest.mark.parametrize("entry", KINDS, ids=lambda entry: str(entry.pattern))
def test_entries_are_complete_sentences_with_distinct_fields(entry: object) -> None:
    listed = next(one for one in KINDS if one is entry)
    assert listed.meaning.endswith(".")
    assert listed.sent_by
    names = [field.name for field in listed.fields]
    assert len(names) == len(set(names))
    assert all(field.meaning for field in listed.fields)
