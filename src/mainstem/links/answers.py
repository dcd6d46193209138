"""Rows of links as the API shows them."""

import base64
import json

import asyncpg

from mainstem.links.models import LinkOut
from mainstem.platform.errors import InvalidFieldError


def link_out(row: asyncpg.Record, base_url: str) -> LinkOut:
    """Return a link of `store.read`; `base_url` is the hub's own address."""
    fields = dict(row)
    return LinkOut.model_validate(
        {
            **fields,
            "id": fields["link_id"],
            "short_url": short_url(fields["host"], fields["slug"], base_url),
            "has_password": fields["password_hash"] is not None,
            "archived": fields["archived_at"] is not None,
            "rules": json.loads(fields["rules"]),
            "variants": json.loads(fields["variants"]),
        }
    )


def short_url(host: str, slug: str, base_url: str) -> str:
    """Return the address of a link; a domain of a tenant's own has the scheme of the hub."""
    if not host:
        return f"{base_url}/{slug}"
    return f"{base_url.partition('://')[0]}://{host}/{slug}"


def cursor_of(place: tuple[int, int]) -> str:
    """Return the cursor after a place of a list."""
    return base64.urlsafe_b64encode(f"{place[0]}.{place[1]}".encode()).decode().rstrip("=")


def place_of_cursor(cursor: str | None) -> tuple[int, int] | None:
    """Return the place that a cursor stands for. Raises InvalidFieldError."""
    if cursor is None:
        return None
    try:
        first, _, second = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(".")
        place = int(first), int(second)
    except ValueError:
        raise InvalidFieldError("cursor must be the next_cursor of a list.", field="cursor") from None
    if not all(0 <= number < 2**63 for number in place):
        raise InvalidFieldError("cursor must be the next_cursor of a list.", field="cursor")
    return place
