"""Links as CSV, made while it is read: memory stays bounded."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from mainstem.links.answers import short_url
from mainstem.platform.clock import rfc3339
from mainstem.platform.db import Pool, load_queries, transaction

COLUMNS: Final = (
    *(
        "short_url",
        "host",
        "slug",
        "tracking_id",
        "target_url",
        "title",
        "description",
        "tags",
        "campaign",
        "utm_source",
    ),
    *(
        "utm_medium",
        "utm_campaign",
        "utm_term",
        "utm_content",
        "link_function",
        "link_type",
        "job_id",
        "application_id",
    ),
    *("valid_since", "expires_at", "expired_url", "click_limit", "limit_url", "forward_query", "append_click", "rules"),
    *("variants", "active", "archived", "created_at", "clicks"),
)
_ROWS: Final = 2_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_sql: Final = load_queries("mainstem.links")


async def export(pool: Pool, tenant_id: int, base_url: str) -> AsyncIterator[str]:
    """Yield all links of a tenant as CSV with a header, oldest first; passwords are left out."""
    yield _line(COLUMNS)
    last = 0
    while True:
        async with transaction(pool, tenant_id=tenant_id) as connection:
            rows = await connection.fetch(_sql["export"], tenant_id, last, _ROWS)
        if not rows:
            return
        last = rows[-1]["link_id"]
        yield "".join(_line(_cells(dict(row), base_url)) for row in rows)


def _cells(row: dict[str, Any], base_url: str) -> list[str]:
    told = {
        **row,
        "short_url": short_url(row["host"], row["slug"], base_url),
        "archived": row["archived_at"] is not None,
        "tags": ",".join(row["tags"]),
        "rules": "" if row["rules"] == "[]" else row["rules"],
        "variants": "" if row["variants"] == "[]" else row["variants"],
    }
    return [_cell(told[name]) for name in COLUMNS]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return json.dumps(value)
        case datetime():
            return rfc3339(value)
        case _:
            text = str(value)
            # a spreadsheet would run it (OWASP, "CSV Injection")
            return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: "tuple[str, ...] | list[str]") -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
