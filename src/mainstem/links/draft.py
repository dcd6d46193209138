"""Checks what is said of a link and makes the row of it. Reads only what it is given, but for the password's hash."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from mainstem.links import rules, variants
from mainstem.links.slugs import fault_of, made_up, normalized
from mainstem.links.targets import safe_target
from mainstem.platform import passwords
from mainstem.platform.errors import InvalidFieldError

COLUMNS: Final = (
    *("host", "slug", "tracking_id", "target_url", "title", "description", "tags", "campaign_id", "utm_source"),
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
    *("valid_since", "expires_at", "expired_url", "click_limit", "limit_url", "password_hash", "forward_query"),
    *("append_click", "rules", "variants", "active", "archived_at", "created_by"),
)
"""Columns of links.tracked_link that a row here has."""
_TEXTS: Final = ("title", "description", "link_function", "link_type", "job_id", "application_id")
_PLAIN: Final = (
    *(
        "campaign_id",
        "utm_source",
        "utm_medium",
        "utm_campaign",
        "utm_term",
        "utm_content",
        "valid_since",
        "expires_at",
    ),
    *("click_limit", "forward_query", "append_click", "active"),
)


async def applied(row: Mapping[str, Any], given: Mapping[str, Any], schemes: Collection[str]) -> dict[str, Any]:
    """Return a link's row with what is given put in; absent fields stay. Raises InvalidFieldError with the field.

    `given` has the fields of LinkIn or LinkPatch, checked for their types.
    """
    made = {name: row.get(name) for name in COLUMNS}
    made |= {name: given[name] for name in _PLAIN if name in given}
    # a NUL can't be stored, and nobody means one
    made |= {name: (given[name] or "").replace("\x00", "").strip() or None for name in _TEXTS if name in given}
    for name in ("target_url", "expired_url", "limit_url"):
        if name in given:
            made[name] = None if given[name] is None else safe_target(given[name], schemes, field=name)
    makers: dict[str, Callable[[Any], object]] = {
        "host": lambda host: host or "",
        "slug": _slug,
        "tags": lambda tags: sorted({tag.replace("\x00", "") for tag in tags or []}),
        "rules": lambda rules: _rules(rules or [], schemes),
        "variants": lambda variants: _variants(variants or [], schemes),
    }
    made |= {name: make(given[name]) for name, make in makers.items() if name in given}
    if "password" in given:
        made["password_hash"] = None if given["password"] is None else await passwords.hashed(given["password"])
    if made["target_url"] is None:
        raise InvalidFieldError("target_url can't be removed.", field="target_url")
    if made["valid_since"] is not None and made["expires_at"] is not None and made["valid_since"] >= made["expires_at"]:
        raise InvalidFieldError("expires_at must be after valid_since.", field="expires_at")
    return made


def new_row(created_by: str) -> dict[str, Any]:
    """Return the row of a link of which nothing is said yet; its slug is made up."""
    return {
        "host": "",
        "slug": made_up(),
        "tags": [],
        "forward_query": True,
        "append_click": False,
        "rules": [],
        "variants": [],
        "active": True,
        "created_by": created_by,
        # a text, so that the check of a removed target does not see it
        "target_url": "",
    }


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as the queries take them."""
    return json.dumps([{name: _told(row.get(name)) for name in COLUMNS} for row in rows])


def event_of(row: Mapping[str, Any], link_id: int, campaign: str | None, by: str) -> dict[str, Any]:
    """Return the data of an event about a link."""
    told = {
        name: _told(row.get(name))
        for name in COLUMNS
        if name not in {"password_hash", "rules", "variants", "created_by", "archived_at", "limit_url", "expired_url"}
    }
    return {**told, "link_id": link_id, "campaign": campaign, "archived": row.get("archived_at") is not None, "by": by}


def _told(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    return value.isoformat() if hasattr(value, "isoformat") else value


def _slug(slug: str | None) -> str:
    if slug is None or not slug.strip():
        return made_up()
    found = normalized(slug.strip().removeprefix("/"))
    fault = fault_of(found)
    if fault is not None:
        raise InvalidFieldError(fault, field="slug", code="invalid_slug")
    return found


def _rules(given: Sequence[Mapping[str, Any]], schemes: Collection[str]) -> list[dict[str, object]]:
    parsed = rules.parse_rules(given)
    safe = [
        rules.Rule(safe_target(one.target_url, schemes, field=f"rules[{n}].target_url"), one.conditions)
        for n, one in enumerate(parsed)
    ]
    return rules.as_json(safe)


def _variants(given: Sequence[Mapping[str, Any]], schemes: Collection[str]) -> list[dict[str, object]]:
    parsed = variants.parse_variants(given)
    safe = [
        variants.Variant(safe_target(one.target_url, schemes, field=f"variants[{n}].target_url"), one.weight)
        for n, one in enumerate(parsed)
    ]
    return variants.as_json(safe)
