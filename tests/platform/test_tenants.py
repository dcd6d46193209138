"""Tenants."""

import asyncpg
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.tenants import check_slug, create_tenant, find_tenant, get_tenant, list_tenants


async def test_the_default_tenant_always_exists(connection: asyncpg.Connection) -> None:
    assert [tenant.slug for tenant in await list_tenants(connection)] == ["default"]


async def test_a_tenant_is_made_and_found(connection: asyncpg.Connection) -> None:
    made = await create_tenant(connection, "harbour-tours", "Harbour Tours")
    assert await get_tenant(connection, "harbour-tours") == made
    assert (await create_tenant(connection, "plain")).name == "plain"


async def test_a_slug_is_taken_once(connection: asyncpg.Connection) -> None:
    with pytest.raises(ConflictError) as refused:
        await create_tenant(connection, "default")
    assert refused.value.field == "slug"


async def test_a_missing_tenant(connection: asyncpg.Connection) -> None:
    assert await find_tenant(connection, "no\0body") is None
    with pytest.raises(NotFoundError, match="nobody"):
        await get_tenant(connection, "nobody")


@pytest.mark.parametrize("name", ["x" * 201, "nul\0"])
async def test_a_bad_name_is_refused(connection: asyncpg.Connection, name: str) -> None:
    with pytest.raises(InvalidFieldError):
        await create_tenant(connection, "fine", name)


@pytest.mark.parametrize("slug", ["", "Upper", "-dash", "_low", "dot.", "a" * 64, "ümlaut", "line\n", "a b"])
def test_bad_slugs_are_refused_with_the_rule(slug: str) -> None:
    with pytest.raises(InvalidFieldError, match="1 to 63"):
        check_slug(slug)


@given(st.text(alphabet="abzAZ09_-. \n\u0660é", max_size=70))
@example("a\n")
def test_the_program_and_the_database_agree_on_slugs(cluster: str, slug: str) -> None:
    with psycopg.connect(cluster) as connection:
        row = connection.execute("select %s ~ '^[a-z0-9][a-z0-9_-]{0,62}$'", (slug,)).fetchone()
    assert row is not None
    try:
        check_slug(slug)
    except InvalidFieldError:
        assert not row[0]
    else:
        assert row[0]
