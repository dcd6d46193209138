"""A connection of the loader's kind whose statements go to the rebuild's tables."""

# ruff: noqa: ANN401 - options go on to the base class as they come

from typing import TYPE_CHECKING, Any

import asyncpg

from mainstem.vault.rebuild.names import Renaming

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    # its class takes parameters only in the eyes of the type checker
    _Base = asyncpg.Connection


def renaming_kind(renaming: Renaming) -> type[_Base]:
    """Return a class of connections that rewrite every statement and COPY; what it does is told in `names`."""

    class Renamed(_Base):
        async def execute(self, query: str, *args: object, **options: Any) -> str:
            return await super().execute(renaming.statement(query), *args, **options)

        async def fetch(self, query: str, *args: object, **options: Any) -> Any:
            return await super().fetch(renaming.statement(query), *args, **options)

        async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
            return await super().fetchval(renaming.statement(query), *args, **options)

        async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
            return await super().fetchrow(renaming.statement(query), *args, **options)

        async def copy_records_to_table(
            self, table_name: str, *, schema_name: str | None = None, **options: Any
        ) -> str:
            schema, table = renaming.table(schema_name, table_name)
            return await super().copy_records_to_table(table, schema_name=schema, **options)

    return Renamed
