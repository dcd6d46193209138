"""Revel's resources as tables of dictionaries; foreign keys are URIs, as its API shows them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a resource is like."""

    name: str
    root: str = "resources"
    links: Mapping[str, str] = field(default_factory=dict)
    """Names of the resources that foreign keys lead to, by field."""
    required: tuple[str, ...] = ()
    """Fields that a new one must have."""
    computed: frozenset[str] = frozenset()
    """Fields that the server alone writes; what a client sends for them is ignored."""
    writable: bool = False

    def uri(self, key: int) -> str:
        """Return the URI of an object."""
        return f"/{self.root}/{self.name}/{key}/"


RESOURCES: Final[Mapping[str, Resource]] = {
    resource.name: resource
    for resource in (
        Resource("Establishment", root="enterprise"),
        Resource("User", root="enterprise", links={"establishment": "Establishment"}),
        Resource("PosStation", links={"establishment": "Establishment"}),
        Resource("ProductCategory", links={"establishment": "Establishment"}),
        Resource("Product", links={"establishment": "Establishment", "category": "ProductCategory"}),
        Resource(
            "Order",
            links={
                "establishment": "Establishment",
                "created_by": "User",
                "updated_by": "User",
                "created_at": "PosStation",
                "last_updated_at": "PosStation",
            },
            required=(
                *("establishment", "created_by", "updated_by", "created_at", "last_updated_at"),
                *("dining_option", "pos_mode", "uuid"),
            ),
            computed=frozenset({"items", "has_items", "voided_date", "loyalty_account_id"}),
            writable=True,
        ),
        Resource(
            "OrderItem",
            links={
                "order": "Order",
                "product": "Product",
                "station": "PosStation",
                "created_by": "User",
                "voided_by": "User",
            },
            required=("order", "product", "quantity", "price", "uuid"),
            writable=True,
        ),
        Resource("Payment", links={"order": "Order"}, required=("order", "amount", "payment_type"), writable=True),
    )
}


class Tables:
    """The rows of all resources."""

    def __init__(self) -> None:
        """Start empty; ids of orders look like the real ones."""
        firsts = {"Order": 1_840_001, "OrderItem": 9_310_001, "Payment": 720_001}
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in RESOURCES}
        self._owned: dict[tuple[str, str], dict[int, Row]] = {}
        self._ids = {name: count(firsts.get(name, 1)) for name in RESOURCES}

    def insert(self, name: str, row: Row, key: int | None = None) -> Row:
        """Keep a row under a new id, or the one that is given; return it with `id` and `resource_uri`."""
        key = next(self._ids[name]) if key is None else key
        kept = {"id": key, "resource_uri": RESOURCES[name].uri(key), **row}
        self._rows[name][key] = kept
        if "order" in kept:
            self._owned.setdefault((name, kept["order"]), {})[key] = kept
        return kept

    def restore(self, name: str, row: Row) -> None:
        """Keep a row of an earlier table as it was; new ones get higher ids."""
        self.insert(name, row, row["id"])
        self._ids[name] = count(max(next(self._ids[name]), row["id"] + 1))

    def get(self, name: str, key: int) -> Row | None:
        """Return a row."""
        return self._rows[name].get(key)

    def all(self, name: str) -> Iterator[Row]:
        """Yield the rows of a resource in the order they came."""
        return iter(list(self._rows[name].values()))

    def remove(self, name: str, key: int) -> None:
        """Forget a row."""
        row = self._rows[name].pop(key, None)
        if row is not None and "order" in row:
            self._owned[name, row["order"]].pop(key)

    def at(self, uri: str, name: str) -> Row | None:
        """Return the row that a URI of a resource means."""
        root, _, rest = uri.partition(f"/{name}/")
        key = rest.rstrip("/")
        if root != f"/{RESOURCES[name].root}" or not (key.isascii() and key.isdigit()):
            return None
        return self.get(name, int(key))

    def of_order(self, name: str, order: Row) -> list[Row]:
        """Return the rows of a resource that belong to an order; which order that is never changes."""
        return list(self._owned.get((name, order["resource_uri"]), {}).values())
