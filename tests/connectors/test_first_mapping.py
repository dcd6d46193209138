"""A mapping that the settings name is taken in once, and never over one that is there."""

import pytest
from connectors.shop import ENVIRONMENT, EXAMPLE
from connectors.trading import RULES, trading

from mainstem.connectors import items
from mainstem.connectors.running import take_first_mapping
from mainstem.connectors.wiring import connectors_of
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.outbound import Outbound
from mainstem.platform.settings import Settings

CSV = "item,product,product_name\nPaella,77,Paella\n"


async def text() -> str:
    return CSV


async def test_it_is_taken_in_where_there_is_none(worker_pool: Pool):
    async with trading(worker_pool, menu=()) as desk:
        connector, tenant_id = desk.flow.connector, desk.flow.tenant_id
        assert await take_first_mapping(worker_pool, tenant_id, connector, text) == 1
        # bookings that nobody can change by it are not looked at twice
        assert await take_first_mapping(worker_pool, tenant_id, connector, text) == 0
        async with transaction(worker_pool) as connection:
            (row,) = await items.rows(connection, tenant_id, connector.name, RULES.establishment)
    assert (row["item"], row["product"]) == ("Paella", "77")


async def test_a_mapping_that_is_there_stays(worker_pool: Pool):
    async with trading(worker_pool) as desk:
        assert await take_first_mapping(worker_pool, desk.flow.tenant_id, desk.flow.connector, text) == 0


async def test_a_mapping_with_a_fault_is_not_taken(worker_pool: Pool):
    async def broken() -> str:
        return "item,product\nPaella,\n"

    async with trading(worker_pool, menu=()) as desk:
        with pytest.raises(InvalidFieldError, match="Line 2"):
            await take_first_mapping(worker_pool, desk.flow.tenant_id, desk.flow.connector, broken)


async def test_the_setting_names_a_file(tmp_path):
    (tmp_path / "map.csv").write_text("\ufeff" + CSV)
    settings = Settings(_env_file=None, connector_mapping=str(tmp_path / "map.csv"))
    (connector, *_) = connectors_of(settings, Outbound())
    assert await connector.first_mapping() == CSV
    assert connectors_of(Settings(_env_file=None), Outbound())[0].first_mapping is None


@pytest.mark.parametrize(
    "mapping",
    [
        "[{item: Soup, product: S1, product_name: Soup of the day}, {item: Bread, product: 7}, {item: Room, ignore: true}]",
        "menu.csv",
    ],
)
async def test_a_file_of_a_connector_names_its_own(worker_pool: Pool, tmp_path, monkeypatch, mapping: str):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "menu.csv").write_text(
        "item,product,product_name,ignore\nSoup,S1,Soup of the day,\nBread,7,,\nRoom,,,yes\n"
    )
    (tmp_path / "venue.yaml").write_text(f"{EXAMPLE.read_text()}\nmapping: {mapping}\n")
    settings = Settings(_env_file=None, connector_files=[str(tmp_path / "venue.yaml")])
    connector = connectors_of(settings, Outbound())[1]
    async with trading(worker_pool, menu=()) as desk:
        assert await take_first_mapping(worker_pool, desk.flow.tenant_id, connector, connector.first_mapping) == 3
        async with transaction(worker_pool) as connection:
            rows = await items.rows(connection, desk.flow.tenant_id, "venue", "kitchen-1")
    assert {row["item"]: row["product"] for row in rows} == {"Soup": "S1", "Bread": "7", "Room": None}
