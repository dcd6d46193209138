"""The Data Vault engine: frozen specs in, DDL and set-based load SQL out. Knows no table of ours."""

from mainstem.vault.engine.ddl import create_table, stage_table
from mainstem.vault.engine.hashing import BROKEN_KEY, INJECTIVE, ZERO_KEY, HashProfile, hash_key
from mainstem.vault.engine.load import ghost_rows, load_statement, load_statements
from mainstem.vault.engine.spec import Column, Hub, Link, NonHistorisedLink, Satellite, Structure

__all__ = [
    "BROKEN_KEY",
    "INJECTIVE",
    "ZERO_KEY",
    "Column",
    "HashProfile",
    "Hub",
    "Link",
    "NonHistorisedLink",
    "Satellite",
    "Structure",
    "create_table",
    "ghost_rows",
    "hash_key",
    "load_statement",
    "load_statements",
    "stage_table",
]
