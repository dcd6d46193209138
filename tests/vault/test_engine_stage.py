"""Stages made by PostgreSQL: derived columns, then hashes, by our profile or that of another vault."""

from hashlib import md5, sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.desk import desk

from mainstem.vault.engine import COMPAT, INJECTIVE, Compat, Derived, Hashed, HashProfile, Stage, stage_rows

PROFILES: list[HashProfile] = [
    INJECTIVE,
    COMPAT,
    Compat(algorithm="sha256", casing="disabled", trim=False, separator="'"),
]
# as far as databases of every collation agree
part = st.none() | st.text(alphabet=st.sampled_from(["a", "A", "1", "|", "^", " ", "'", "\n"]), max_size=4)


def digest(text: str) -> bytes:
    return md5(text.encode(), usedforsecurity=False).digest()


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["1001"], "1001"),
        ([" ab "], "AB"),
        ([None], None),
        (["  "], None),
        (["a", "b"], "A||B"),
        (["a", None], "A||^^"),
        ([None, ""], None),
    ],
)
def test_the_delimiter_rule_of_a_key(parts, text):
    assert COMPAT.key(parts) == (None if text is None else digest(text))


def test_the_delimiter_rule_of_a_hashdiff():
    assert COMPAT.hashdiff({"b": "2", "a": None}) == digest("^^||2")
    assert COMPAT.hashdiff({"a": None}) == digest("^^")
    assert Compat(algorithm="sha256", casing="disabled").hashdiff({"a": "x"}) == sha256(b"x").digest()


def test_delimiters_make_keys_meet_and_lengths_do_not():
    one, other = ["a||b", "c"], ["a", "b||c"]
    assert COMPAT.key(one) == COMPAT.key(other)
    assert INJECTIVE.key(one) != INJECTIVE.key(other)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(part, min_size=1, max_size=3))
def test_python_and_postgresql_agree(dsn: str, profile, parts):
    with desk(dsn) as on:
        names = [f"c{number}" for number in range(len(parts))]
        values = dict(zip(names, parts, strict=True))
        key = profile.key_sql([f"%({name})s::text" for name in names])
        hashdiff = profile.hashdiff_sql({name: f"%({name})s::text" for name in names})
        stored = on.connection.execute(f"select {key}, {hashdiff}", values).fetchone()
        assert stored == (profile.key(parts), profile.hashdiff(values))
        assert all(value is None or len(value) == profile.size for value in stored)


def test_a_stage_derives_first_and_hashes_then(dsn: str):
    stage = Stage(
        columns=("id", "name", "at"),
        derived=(
            Derived(name="at", column="name"),
            Derived(name="src", constant="it's"),
            Derived(name="none", constant=""),
        ),
        hashed=(
            Hashed(name="hk", columns=("id",)),
            Hashed(name="diff", columns=("src", "at"), hashdiff=True),
            Hashed(name="id", columns=("id", "id")),
        ),
    )
    with desk(dsn) as on:
        on.stage("id numeric(9,2), name text, at date", (7, "n", "2024-01-01"))
        rows = on.connection.execute(stage_rows(stage, "staged", profile=COMPAT))
        names = [column.name for column in rows.description]
        assert dict(zip(names, rows.fetchone(), strict=True)) == {
            "name": "n",
            "at": "n",
            "src": "it's",
            "none": "",
            "hk": digest("7.00"),
            "diff": digest("N||IT'S"),
            "id": digest("7.00||7.00"),
        }


def test_a_derived_column_has_one_source():
    with pytest.raises(ValueError, match="copy or a constant"):
        Derived(name="x")
    with pytest.raises(ValueError, match="copy or a constant"):
        Derived(name="x", column="a", constant="b")
