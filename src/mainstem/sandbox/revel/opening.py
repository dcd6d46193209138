"""What an establishment has before its first order: staff, a station, its menu."""

from typing import Final

from mainstem.sandbox.revel.tables import Tables
from mainstem.sandbox.venues import MENU, Site, product_id

_MENU_MADE: Final = "2025-03-01T09:00:00"
_MENU_CHANGED: Final = "2026-01-15T09:00:00"


def open_site(tables: Tables, site: Site) -> None:
    """Put a site with its staff and menu into the tables."""
    number = site.establishment
    home = tables.insert("Establishment", {"name": site.name, "time_zone": site.timezone, "active": True}, number)
    uri = home["resource_uri"]
    tables.insert("User", {"username": f"api{number}", "establishment": uri, "active": True}, number * 10 + 1)
    tables.insert("PosStation", {"name": "Back office", "establishment": uri}, number * 10 + 1)
    categories: dict[str, str] = {}
    for place, dish in enumerate(MENU):
        if dish.category not in categories:
            row = {"name": dish.category, "establishment": uri, "active": True}
            kept = tables.insert("ProductCategory", row, number * 100 + len(categories))
            categories[dish.category] = kept["resource_uri"]
        tables.insert(
            "Product",
            {
                "name": dish.name,
                "sku": f"HV{place + 1:03}",
                "barcode": None,
                "price": float(dish.price),
                "active": dish.active,
                "establishment": uri,
                "category": categories[dish.category],
                "created_date": _MENU_MADE,
                "updated_date": _MENU_CHANGED,
            },
            product_id(site, place),
        )
