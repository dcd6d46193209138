"""Applying a plan: DDL, registry and version of the model in one transaction, by one process at a time."""

from collections.abc import Sequence

from mainstem.platform.db import Connection
from mainstem.vault.custom import catalogue
from mainstem.vault.custom.catalogue import sql
from mainstem.vault.custom.document import ModelError
from mainstem.vault.custom.model import Model
from mainstem.vault.custom.plan import Plan, plan


class ModelBusyError(Exception):
    """Somebody else is changing the model or filling its tables; try again when he is done."""


async def apply(connection: Connection, model: Model) -> Plan:
    """Make the database fit a model, in the caller's transaction; return what was done.

    New tables wait for their backfill. Raises ModelError for what can't be changed in place, ModelBusyError when
    another process is at it, and asyncpg.LockNotAvailableError when a load or a table stays in the way for five seconds.
    """
    await lock(connection)
    await connection.execute("set local lock_timeout = '5s'")
    found = plan(model, await catalogue.read(connection))
    if found.refusals:
        raise ModelError(found.refusals)
    if found.is_empty:
        return found
    # a load that reads one table and waits for another would be in the way of the statements, and they of it
    await connection.execute(sql["hold_loads"])
    for change in found.changes:
        await connection.execute(change.sql)
    await _register(connection, model, found)
    return found


async def lock(connection: Connection) -> None:
    """Keep other processes from changing the model until the transaction ends. Raises ModelBusyError."""
    if not await connection.fetchval(sql["lock_model"]):
        raise ModelBusyError("another process is applying or filling the model; try again when it is done")


async def _register(connection: Connection, model: Model, found: Plan) -> None:
    await _many(connection, "add_load", found.add_loads)
    await _many(connection, "drop_load", found.drop_loads)
    version = await connection.fetchval(sql["next_version"])
    source = model.source if model.format == "yaml" else None
    statements = [change.sql for change in found.changes]
    await connection.execute(sql["record_model"], version, model.path, model.format, model.sha256, source, statements)


async def _many(connection: Connection, query: str, loads: Sequence[tuple[str, str]]) -> None:
    await connection.executemany(sql[query], loads)
