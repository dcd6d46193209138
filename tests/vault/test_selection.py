"""Rows are left out of a structure's load only where they would add nothing."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mainstem.vault.engine.spec import Column, Hub, Link, Satellite, Structure
from mainstem.vault.feed import BASE_COLUMNS, Feed
from mainstem.vault.selection import Selector

KEY = (Column("tenant_id", "int4", required=True), Column("thing", "text", required=True))
META = (Column("rsrc", "text", required=True),)
PAYLOAD = (Column("said", "text"),)
HUB = Hub(table="vault.hub", comment="", key=KEY, business_key=(), meta=META)
SATELLITE = Satellite(
    table="vault.sat",
    comment="",
    key=KEY,
    meta=META,
    payload=PAYLOAD,
    version=(Column("raw_id", "int8"),),
    needs=("said",),
)
LINK_BEYOND_ITS_KEY = Link(table="vault.lnk", comment="", key=KEY, references=(*KEY, Column("said", "text")), meta=META)


def feed(*structures: Structure) -> Feed:
    columns = (*BASE_COLUMNS, ("thing", "text"), ("said", "text"))
    return Feed(name="things", kinds=("thing.*",), columns=columns, stage=lambda _: (), structures=structures)


def rows(said: Sequence[tuple[str, str | None]]) -> list[tuple[object, ...]]:
    return [(number, 1, None, "", None, None, "", 0, thing, text) for number, (thing, text) in enumerate(said)]


things = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])))


@given(things, st.integers(1, 5))
def test_a_hub_gets_the_first_row_of_each_key_however_the_rows_are_cut(said, size):
    staged = rows(said)
    selection = Selector(feed(HUB)).start()
    masks = [mask for start in range(0, len(staged), size) for mask in selection.masks(staged[start : start + size])]
    names = [thing for thing, _ in said]
    assert masks == [int(thing not in names[:place]) for place, thing in enumerate(names)]


@given(things)
def test_a_satellite_gets_every_change_and_no_row_that_it_has_no_use_for(said):
    expected, last = [], {}
    for thing, text in said:
        expected.append(int(text is not None and last.get(thing) != text))
        if text is not None:
            last[thing] = text
    assert Selector(feed(SATELLITE)).start().masks(rows(said)) == expected


def test_a_key_is_left_out_only_after_the_load_that_had_it_is_committed():
    selector = Selector(feed(HUB))
    first = selector.start()
    assert first.masks(rows([("a", None)])) == [1]
    assert selector.start().masks(rows([("a", None)])) == [1]
    first.committed()
    assert selector.start().masks(rows([("a", None), ("b", None)])) == [0, 1]


def test_a_structure_whose_first_row_may_not_count_reads_all_rows():
    assert Selector(feed(HUB, LINK_BEYOND_ITS_KEY, SATELLITE)).bits == {1, 4}
