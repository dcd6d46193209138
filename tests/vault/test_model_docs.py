"""The model drawn and described: every structure, column and edge is there, and the page needs nothing else."""

import re
from xml.etree import ElementTree as ET

from vault.modelling import FEEDS, model

from mainstem.vault.docs import describe, flowchart, html_page, markdown_page
from mainstem.vault.docs.layout import HEIGHT, layout
from mainstem.vault.docs.svg import svg
from mainstem.vault.model import TAKEN

SHOP = model()
DESCRIPTION = describe("Shop & more", (*FEEDS, *SHOP.feeds), SHOP.snapshots, taken=TAKEN)
TABLES = [one.spec.table for one in DESCRIPTION.structures]


def test_every_structure_is_described_once():
    assert sorted(TABLES) == sorted(set(TABLES))
    assert {spec.table for spec in (*SHOP.structures, *SHOP.snapshots)} < set(TABLES)
    by_table = {one.spec.table: one for one in DESCRIPTION.structures}
    assert by_table["vault.esat_shop_order_care"].about == ("vault.lnk_shop_order_clerk",)
    assert by_table["vault.sat_shop_order_state"].kinds == ("order.paid", "order.refunded")
    assert by_table["vault.nhl_event"].kinds == ("*", "order.paid", "order.refunded")
    assert [view.name for view in by_table["vault.hub_shop_order"].views] == ["business.shop_order"]


def test_the_markdown_has_every_column():
    page = markdown_page(DESCRIPTION)
    for one in DESCRIPTION.structures:
        section = page.split(f"## {one.spec.table}\n")[1].split("\n## ")[0]
        for column in one.spec.columns:
            assert f"| `{column.name}` | {column.type}" in section
        for view in one.views:
            assert f"View `{view.name}`" in section


def test_every_column_of_the_example_has_a_meaning():
    assert [(one.spec.table, c.name) for one in DESCRIPTION.structures for c in one.spec.columns if not c.comment] == []


def test_the_flowchart_has_every_node_and_edge():
    text = flowchart(DESCRIPTION)
    for table in TABLES:
        assert re.search(rf"^  {table.removeprefix('vault.')}\W+\"", text, re.MULTILINE)
    assert text.count(" --- ") == len(DESCRIPTION.edges)


def test_the_page_needs_no_network_and_its_links_lead_to_sections():
    page = html_page(DESCRIPTION)
    assert "http" not in page
    assert "<script" not in page
    assert "Shop &amp; more" in page
    targets, ids = re.findall(r'href="#([^"]+)"', page), re.findall(r'id="([^"]+)"', page)
    assert sorted(targets) == sorted(ids) == sorted(TABLES)


def test_the_drawing_is_well_formed_and_no_boxes_overlap():
    ET.fromstring(svg(DESCRIPTION))  # noqa: S314 - our own text
    boxes = layout(DESCRIPTION).boxes
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x or abs(one.y - other.y) >= HEIGHT
            assert apart, (one.one.spec.table, other.one.spec.table)


def test_no_edge_crosses_a_box():
    placed = layout(DESCRIPTION)
    for edge in placed.edges:
        for (_, _), (x, y) in edge.curves[:-1]:
            assert not any(box.x == x and box.y < y < box.y + HEIGHT for box in placed.boxes)


def test_an_empty_model_is_drawn():
    empty = describe("None", ())
    ET.fromstring(svg(empty))  # noqa: S314 - our own text
    assert markdown_page(empty).startswith("# None")
