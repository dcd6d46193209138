"""Lists of Revel's resources: Tastypie's envelope, pages, filters, order, fields."""

from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxing import Town

from mainstem.sandbox.revel.query import page
from mainstem.sandbox.revel.tables import RESOURCES


async def listed(revel: httpx.AsyncClient, path: str, **query: object) -> dict:
    answer = await revel.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def keys(revel: httpx.AsyncClient, path: str, **query: object) -> list[int]:
    return [row["id"] for row in (await listed(revel, path, limit=0, **query))["objects"]]


async def test_the_envelope_leads_from_page_to_page(revel: httpx.AsyncClient):
    first = await listed(revel, "/resources/Product/")
    assert first["meta"] == {
        "limit": 20,
        "next": "/resources/Product/?limit=20&offset=20",
        "offset": 0,
        "previous": None,
        "total_count": 48,
    }
    seen, following = [row["id"] for row in first["objects"]], first["meta"]["next"]
    while following:
        answer = (await revel.get(following)).json()
        seen += [row["id"] for row in answer["objects"]]
        following = answer["meta"]["next"]
    assert answer["meta"]["previous"] == "/resources/Product/?limit=20&offset=20"
    assert len(seen) == len(set(seen)) == 48


async def test_a_page_keeps_its_filters_in_the_next(revel: httpx.AsyncClient):
    answer = await listed(revel, "/resources/Product/", establishment=5, limit=10)
    assert answer["meta"]["next"] == "/resources/Product/?establishment=5&limit=10&offset=10"
    assert answer["meta"]["total_count"] == 16


async def test_a_limit_of_0_is_all_and_others_have_a_most(box: Town, revel: httpx.AsyncClient):
    everything = await listed(revel, "/resources/Product/", limit=0)
    assert len(everything["objects"]) == 48
    assert (everything["meta"]["limit"], everything["meta"]["next"]) == (0, None)
    await box.config(revel_most_objects=30)
    cut = await listed(revel, "/resources/Product/", limit=1000)
    assert (len(cut["objects"]), cut["meta"]["limit"]) == (30, 30)
    assert cut["meta"]["next"]


@pytest.mark.parametrize("query", [{"limit": "many"}, {"limit": "-1"}, {"offset": "x"}, {"order_by": "taste"}])
async def test_a_wrong_page_or_order_is_400(revel: httpx.AsyncClient, query: dict):
    answer = await revel.get("/resources/Product/", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_a_filter_that_does_not_exist_is_passed_over(revel: httpx.AsyncClient):
    assert len(await keys(revel, "/resources/Product/", flavour="sour")) == 48


async def test_an_operator_that_does_not_exist_is_400(revel: httpx.AsyncClient):
    answer = await revel.get("/resources/Product/", params={"name__resembles": "soup"})
    assert (answer.status_code, "resembles" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "Lemon Tart"}, [509, 609, 709]),
        ({"name__iexact": "lemon tart"}, [509, 609, 709]),
        ({"name__exact": "lemon tart"}, []),
        ({"name__contains": "Salmon", "establishment": 4}, [505]),
        ({"name__icontains": "salmon", "establishment__in": "4,5"}, [505, 605]),
        ({"name__startswith": "House", "establishment": 4}, [511, 512]),
        ({"name__istartswith": "house", "establishment": 4}, [511, 512]),
        ({"name__endswith": "Tart", "establishment": "/enterprise/Establishment/4/"}, [509]),
        ({"name__iendswith": "TART", "establishment": 4}, [509]),
        ({"price__gt": "48", "establishment": 4}, [503, 516]),
        ({"price__gte": "48", "establishment": 4}, [503, 515, 516]),
        ({"price__lt": "8", "establishment": 4}, [514]),
        ({"price__lte": "8.00", "establishment": 4}, [513, 514]),
        ({"price__range": "42,44", "establishment": 4}, [501, 511, 512]),
        ({"price": "14.5", "establishment": 4}, [504]),
        ({"active": "false"}, [516, 616, 716]),
        ({"active": "0"}, [516, 616, 716]),
        ({"barcode__isnull": "true", "id__lte": 503}, [501, 502, 503]),
        ({"barcode__isnull": "false"}, []),
        ({"id__in": "501,601"}, [501, 601]),
        ({"created_date__gte": "2025-03-01", "created_date__lt": "2025-03-01T09:00:01", "id__lt": 502}, [501]),
        ({"created_date__gt": "2025-03-01T09:00:00"}, []),
        ({"created_date__range": "2025-03-01T09:00:00,2025-03-01T09:00:00", "id": 501}, [501]),
    ],
)
async def test_filters(revel: httpx.AsyncClient, query: dict, expected: list[int]):
    assert await keys(revel, "/resources/Product/", **query) == expected


@pytest.mark.parametrize("query", [{"price__gt": "dear"}, {"price__range": "1"}])
async def test_a_value_that_can_not_be_compared_is_400(revel: httpx.AsyncClient, query: dict):
    assert (await revel.get("/resources/Product/", params=query)).status_code == 400


async def test_order_goes_up_and_down_by_several_fields(revel: httpx.AsyncClient):
    query = {"establishment": 4, "order_by": "-price,name", "fields": "name,price", "limit": 0}
    rows = (await listed(revel, "/resources/Product/", **query))["objects"]
    pairs = [(-row["price"], row["name"]) for row in rows]
    assert pairs == sorted(pairs)
    assert {frozenset(row) for row in rows} == {frozenset({"name", "price"})}


async def test_one_object_has_its_uri_and_chosen_fields(revel: httpx.AsyncClient):
    product = (await revel.get("/resources/Product/501/")).json()
    assert product["resource_uri"] == "/resources/Product/501/"
    assert product["establishment"] == "/enterprise/Establishment/4/"
    assert (await revel.get("/resources/Product/501/", params={"fields": "name"})).json() == {"name": "Oysters Dozen"}
    assert (await revel.get("/resources/Product/1/")).status_code == 404


async def test_establishments_have_their_zones_and_staff(revel: httpx.AsyncClient):
    rows = (await listed(revel, "/enterprise/Establishment/"))["objects"]
    assert {row["id"]: row["time_zone"] for row in rows} == {
        4: "America/New_York",
        5: "America/Chicago",
        6: "America/Phoenix",
    }
    assert await keys(revel, "/enterprise/User/", establishment=4) == [41]
    assert await keys(revel, "/resources/PosStation/", establishment=4) == [41]


@pytest.mark.parametrize("path", ["/resources/Product/", "/enterprise/Establishment/"])
async def test_what_belongs_to_the_manager_is_not_written(revel: httpx.AsyncClient, path: str):
    assert (await revel.post(path, json={"name": "x"})).status_code == 405


ROWS = st.lists(
    st.fixed_dictionaries(
        {"price": st.none() | st.integers(0, 9) | st.floats(0, 9), "name": st.none() | st.text("aBé", max_size=3)}
    ),
    max_size=30,
).map(
    lambda rows: [
        {"id": number, "resource_uri": f"/resources/Product/{number}/", **row} for number, row in enumerate(rows)
    ]
)
COLUMNS = frozenset({"id", "resource_uri", "price", "name"})
PRODUCT = RESOURCES["Product"]


@given(ROWS, st.integers(1, 9), st.sampled_from(["id", "-id", "price", "-price", "name", "name,-price"]))
def test_pages_are_the_whole_list_cut_in_pieces(rows: list[dict], limit: int, order: str):
    whole = page(PRODUCT, rows, COLUMNS, [("limit", "0"), ("order_by", order)], 250)["objects"]
    pieces = []
    for offset in range(0, len(rows) + 1, limit):
        query = [("limit", str(limit)), ("offset", str(offset)), ("order_by", order)]
        pieces += page(PRODUCT, rows, COLUMNS, query, 250)["objects"]
    assert pieces == whole
    assert sorted(row["id"] for row in whole) == list(range(len(rows)))


@given(ROWS, st.integers(0, 9))
def test_what_is_less_equal_or_more_is_all_that_has_a_value(rows: list[dict], bound: int):
    def ids(name: str, value: object) -> set[int]:
        found = page(PRODUCT, rows, COLUMNS, [("limit", "0"), (name, str(value))], 250)
        return {row["id"] for row in found["objects"]}

    parts = [ids("price__lt", bound), ids("price", bound), ids("price__gt", bound), ids("price__isnull", "true")]
    assert set.union(*parts) == {row["id"] for row in rows}
    assert sum(map(len, parts)) == len(rows)


@given(ROWS)
def test_an_order_is_an_order(rows: list[dict]):
    found = page(PRODUCT, rows, COLUMNS, [("limit", "0"), ("order_by", "price")], 250)["objects"]
    prices = [row["price"] for row in found if row["price"] is not None]
    assert all(one <= other for one, other in pairwise(prices))
