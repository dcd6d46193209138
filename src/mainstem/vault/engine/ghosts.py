"""Ghost rows: what stands for "none or unknown", so that every join to a hub or satellite is an inner one."""

from collections.abc import Iterable
from typing import Final

from mainstem.vault.engine.column import Column, literal, quote_table
from mainstem.vault.engine.hashing import INJECTIVE, ZERO_KEY, HashProfile
from mainstem.vault.engine.parts import listed, names
from mainstem.vault.engine.spec import Hub, MultiActiveSatellite, Satellite, Structure

GHOST_DATE: Final = "1900-01-01 00:00:00+00"
"""Load time of ghost rows: before everything."""
GHOST_TEXT: Final = "(unknown)"
_TIMES: Final = ("timestamp", "date")
_OTHERS: Final = {"uuid": "00000000-0000-0000-0000-000000000000", "bool": "false", "boolean": "false", "jsonb": "{}"}
_NUMBERS: Final = ("int", "smallint", "bigint", "numeric", "double", "real", "float")


def ghost_rows(specs: Iterable[Structure], tenant: str | None = None, *, profile: HashProfile = INJECTIVE) -> list[str]:
    """Return the INSERTs of the ghost rows of hubs and satellites, for the tenants of a `(tenant_id)` table.

    A ghost has the zero key and, where a value must be, the text `(unknown)`, the number 0, the date GHOST_DATE;
    else NULL. Without a table of tenants there is one ghost per table.
    """
    source = "" if tenant is None else f" from {quote_table(tenant)}"
    return [
        f"insert into {quote_table(spec.table)} ({names(spec.columns)})\n"
        f"select {listed(_value(spec, column, bytes(profile.size)) for column in spec.columns)}{source}\n"
        "on conflict do nothing"
        for spec in specs
        if isinstance(spec, Hub | Satellite | MultiActiveSatellite)
    ]


def ghost_value(column: Column, *, key: bytes = ZERO_KEY, date: str = GHOST_DATE) -> str:
    """Return the expression of a ghost's value in a column that must have one."""
    if column.type == "bytea":
        text = rf"\x{key.hex()}"
    elif column.type.startswith(_TIMES):
        text = date
    elif column.type.startswith(_NUMBERS):
        text = "0"
    else:
        text = _OTHERS.get(column.type, GHOST_TEXT)
    return f"{literal(text)}::{column.type}"


def _value(spec: Structure, column: Column, key: bytes) -> str:
    if column.name == "tenant_id":
        return "tenant_id"
    if column.name == "rsrc":
        return "'mainstem'"
    must = column.required or column.name in spec.primary_key or column.type in {"bytea", "timestamptz"}
    return ghost_value(column, key=key) if must else f"null::{column.type}"
