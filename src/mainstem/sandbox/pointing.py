"""What points a hub at the sandbox: its settings, and which item of Tripleseat is which product of Revel."""

import csv
import io
from typing import Any

from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.openai import MODEL
from mainstem.sandbox.tripleseat.desk import find_dish
from mainstem.sandbox.tripleseat.model import Event, LineItem
from mainstem.sandbox.venues import MENU, SITES, Site, product_id


def settings(box: Sandbox, address: str) -> dict[str, str]:
    """Return the settings of a hub whose connector works on the sandbox at `address`, by name, all as text."""
    site = SITES[0]
    return {
        "ENABLE_CONNECTOR": "true",
        "TRIPLESEAT_BASE_URL": f"{address}/tripleseat",
        "TRIPLESEAT_TOKEN_URL": f"{address}/tripleseat/oauth2/token",
        "TRIPLESEAT_SITE_ID": str(site.site_id),
        "TRIPLESEAT_OAUTH_CLIENT_ID": box.oauth.client_id,
        "TRIPLESEAT_OAUTH_CLIENT_SECRET": box.oauth.client_secret,
        "TRIPLESEAT_WEBHOOK_SIGNING_KEY": box.desk.signing_key,
        "REVEL_BASE_URL": f"{address}/revel",
        "REVEL_API_KEY": box.till.api_key,
        "REVEL_API_SECRET": box.till.api_secret,
        "REVEL_ESTABLISHMENT_ID": str(site.establishment),
        "REVEL_LOCATION_ID": "1",
        "TIMEZONE": site.timezone,
        "OUTBOUND_ALLOW": "127.0.0.0/8,::1",
        "CONNECTOR_MAPPING": f"{address}/admin/mapping.csv",
        "SANDBOX_URL": address,
    }


def assistant_settings(box: Sandbox, address: str) -> dict[str, str]:
    """Return the settings of a hub whose assistant talks to the stand-in for a language model."""
    return {
        "OPENAI_BASE_URL": f"{address}/openai/v1",
        "OPENAI_API_KEY": box.brain.api_key,
        "OPENAI_MODEL": MODEL,
        "OUTBOUND_ALLOW": "127.0.0.0/8,::1",
    }


def mapped(event: Event, line: LineItem) -> dict[str, Any]:
    """Return a line with the product that it means; None when it means none."""
    dish = find_dish(line.description)
    known = dish is not None and event.site in SITES
    return {
        "description": line.description,
        "product": product_id(event.site, MENU.index(dish)) if known and dish is not None else None,
        "product_name": dish.name if dish is not None else None,
        "quantity": str(line.quantity),
        "price": str(line.price),
        "total": str(line.total),
    }


def mapping_csv(site: Site) -> str:
    """Return which item is which product at a site; columns: item, product, product_name."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("item", "product", "product_name"))
    rows.writerows((dish.described, product_id(site, place), dish.name) for place, dish in enumerate(MENU))
    return text.getvalue()
