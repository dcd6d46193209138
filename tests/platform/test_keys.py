"""API keys."""

import re

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.keys import (
    Scope,
    check_importable,
    create_key,
    effective_scopes,
    import_key,
    key_hash,
    list_keys,
    parse_origins,
    parse_scopes,
    revoke_key,
)
from mainstem.platform.tenants import create_tenant

OLD_KEY = "legacy-4b1d77c0-58aa-tracking"


async def test_a_secret_key_is_shown_once_and_kept_as_hash(connection: asyncpg.Connection) -> None:
    new = await create_key(connection, 1, scopes=["read", "ingest"], label="till")
    assert re.fullmatch(r"ms_live_[A-Za-z0-9_-]{43}", new.key)
    assert new.api_key.prefix == new.key[:12]
    assert new.api_key.scopes == ("ingest", "read")
    row = await connection.fetchrow("select * from platform.api_key")
    assert row["key_hash"] == key_hash(new.key)
    assert new.key not in str(dict(row))


async def test_a_public_key_ingests_only_from_its_origins(connection: asyncpg.Connection) -> None:
    new = await create_key(connection, 1, kind="public", allowed_origins=["https://Shop.example/", "https://*.a.test"])
    assert re.fullmatch(r"ms_pub_[A-Za-z0-9_-]{43}", new.key)
    assert new.api_key.scopes == ("ingest",)
    assert new.api_key.allowed_origins == ("https://shop.example", "https://*.a.test")


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"kind": "public"}, "allowed_origins"),
        ({"kind": "public", "allowed_origins": ["*", "https://a.test"]}, "allowed_origins"),
        ({"kind": "public", "allowed_origins": ["a.test"]}, "allowed_origins"),
        ({"kind": "public", "allowed_origins": ["https://a.test"], "scopes": ["read"]}, "scopes"),
        ({"scopes": ["ingest"], "allowed_origins": ["https://a.test"]}, "allowed_origins"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"scopes": ["read"], "label": "x" * 201}, "label"),
        ({"scopes": ["read"], "label": "nul\0"}, "label"),
    ],
)
async def test_wrong_wishes_are_refused_by_field(connection: asyncpg.Connection, wanted, field: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        await create_key(connection, 1, **wanted)
    assert refused.value.field == field
    assert await list_keys(connection, 1) == []


def test_a_star_alone_is_an_explicit_wish() -> None:
    assert parse_origins(["*"]) == ["*"]


async def test_unknown_tenant(connection: asyncpg.Connection) -> None:
    with pytest.raises(NotFoundError):
        await create_key(connection, 999, scopes=["read"])


async def test_revoked_keys_leave_the_list_and_stay_on_record(connection: asyncpg.Connection) -> None:
    first = (await create_key(connection, 1, scopes=["read"])).api_key
    second = (await create_key(connection, 1, scopes=["read"])).api_key
    ended = await revoke_key(connection, 1, first.id)
    assert ended.revoked_at is not None
    assert await revoke_key(connection, 1, first.id) == ended
    assert [key.id for key in await list_keys(connection, 1)] == [second.id]
    assert [key.id for key in await list_keys(connection, 1, revoked=True)] == [second.id, first.id]


async def test_a_foreign_key_is_a_missing_key(connection: asyncpg.Connection) -> None:
    other = await create_tenant(connection, "other")
    theirs = (await create_key(connection, other.id, scopes=["read"])).api_key
    with pytest.raises(NotFoundError, match=f"API key {theirs.id} not found"):
        await revoke_key(connection, 1, theirs.id)
    assert (await list_keys(connection, other.id))[0].revoked_at is None


async def test_an_imported_key_is_hashed_and_marked(connection: asyncpg.Connection) -> None:
    key = await import_key(connection, 1, OLD_KEY, scopes=["ingest"], label="old site")
    assert key.imported
    assert key.prefix == OLD_KEY[:7]
    assert await connection.fetchval("select key_hash from platform.api_key") == key_hash(OLD_KEY)


async def test_a_key_belongs_to_one_tenant(connection: asyncpg.Connection) -> None:
    other = await create_tenant(connection, "other")
    await import_key(connection, 1, OLD_KEY, scopes=["ingest"])
    with pytest.raises(ConflictError):
        await import_key(connection, other.id, OLD_KEY, scopes=["ingest"])


@pytest.mark.parametrize(
    "text",
    [
        "YOUR_API_KEY_HERE_1234",
        "your_api_key_here",
        "ovt_prod_YOUR_API_KEY_HERE",
        "ovt_prod_YOUR_KEY_GOES_HERE",
        "<your_secure_api_key>",
        "too-short-key15",
        "with a space in it",
        "umlaut-ä-in-the-key",
        "line\nbreak-in-the-key",
        "x" * 513,
        "ms_pub_" + "a" * 43,
    ],
)
def test_samples_and_unusable_texts_are_not_imported(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_importable(text)


def test_sixteen_characters_are_enough() -> None:
    check_importable("k9-3hf7GQ.x0_Z~1")


@given(st.sets(st.sampled_from(list(Scope)), min_size=1))
def test_admin_implies_every_scope_and_others_only_themselves(scopes: set[Scope]) -> None:
    assert effective_scopes(scopes) == (frozenset(Scope) if Scope.ADMIN in scopes else scopes)
    assert set(parse_scopes([*scopes, *scopes])) == scopes
