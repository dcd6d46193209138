"""Every query of connectors is understood by the migrated schema."""

from pathlib import Path

import pytest

import mainstem.connectors
from mainstem.platform.db import load_queries

FOLDER = Path(mainstem.connectors.__file__).parent
QUERIES = [
    (file.name, name)
    for file in sorted(FOLDER.glob("*.sql"))
    # written for the loader's own tables
    if file.name != "load.sql"
    for name in load_queries("mainstem.connectors", file.name)
]


@pytest.mark.parametrize(("file", "name"), QUERIES)
async def test_every_query_is_understood(connection, file, name):
    assert await connection.prepare(load_queries("mainstem.connectors", file)[name])
