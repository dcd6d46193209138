"""Turns raw events of links into rows on their stages: clicks, changes of links, visits of unknown addresses. Pure.

As lenient as the stage of site events: whatever was sent comes through, wrong types as text or as absent. Only a click
without a tracking id is refused. Visitor and campaign have the keys of the site's, so that click and visit meet.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from mainstem.events.model import EventFlag, RawEvent
from mainstem.events.receive import RefusedError, parse_time
from mainstem.links.click import Click
from mainstem.platform.web.agents import UNKNOWN, Agent, agent_of
from mainstem.platform.web.text import clean, clip, clip_key, read_object, write_object
from mainstem.platform.web.urls import MAX_URL_CHARACTERS, MAX_UTM_CHARACTERS, UTM_NAMES, referrer_of
from mainstem.vault.customers import customer_of
from mainstem.vault.engine import hash_key
from mainstem.vault.feed import RejectedError, base_row
from mainstem.vault.keys import campaign_key, visitor_key
from mainstem.vault.model import LINK, stage_event

MAX_TRACKING_ID: Final = 100
_MOST_NUMBER: Final = 32_767
_SHORT: Final = 200
_TEXT: Final = 1_000
_CACHED: Final = 16_384
_SERVER_AGENT: Final = int(EventFlag.SERVER_AGENT)
_LARGEST: Final = 2**63 - 1
_click: Final = msgspec.json.Decoder(Click)
_TEXTS: Final = ("link_function", "link_type", "job_id", "application_id")


def stage_click(event: RawEvent) -> tuple[object, ...]:
    """Return the row of CLICK_COLUMNS of a click.

    Raises RejectedError `data_invalid` when the data is no JSON object, `tracking_id_missing` without a tracking id.
    """
    click, metadata = _read(event.data)
    tracking_id = _tracking_id(event.subject or click.tracking_id)
    tenant_id = event.tenant_id
    utm = (click.utm_source, click.utm_medium, click.utm_campaign, click.utm_term, click.utm_content)
    source, medium, campaign = utm[:3]
    referrer = referrer_of(click.referrer_url, None)
    agent = agent_for(event, click.label)
    visitor_hk, visitor_bk = visitor_key(tenant_id, event.visitor or f"e:{event.event_uid}")
    return (
        *base_row(event),
        _link(tenant_id, tracking_id),
        tracking_id,
        visitor_hk,
        visitor_bk,
        campaign_key(tenant_id, source, medium, campaign),
        *utm,
        click.link_id,
        click.click_source,
        click.session_id,
        click.target_url,
        referrer.url,
        referrer.host,
        "campaign" if source or medium or campaign else referrer.channel,
        agent.device,
        agent.os,
        agent.browser,
        agent.is_bot,
        agent.bot_reason,
        event.ip,
        event.user_agent,
        click.country,
        click.city,
        click.language,
        _number(click.rule),
        _number(click.variant),
        metadata,
        *customer_of(event),
    )


def stage_link(event: RawEvent) -> tuple[object, ...]:
    """Return the row of LINK_COLUMNS of a change of a link. Raises RejectedError as `stage_click` does."""
    found = read_object(event.data)
    if found is None:
        raise RejectedError("data_invalid", "The event's data is no JSON object.", "data")
    said = found[0]
    tracking_id = _tracking_id(event.subject or clip(said.get("tracking_id"), MAX_TRACKING_ID))
    tags = said.get("tags")
    return (
        *stage_event(event),
        _link(event.tenant_id, tracking_id),
        tracking_id,
        clip(said.get("host"), _SHORT),
        clip(said.get("slug"), _SHORT),
        clip(said.get("target_url"), MAX_URL_CHARACTERS),
        clip(said.get("title"), _TEXT),
        clip(said.get("description"), _TEXT),
        ",".join(sorted(str(tag) for tag in tags)) or None if isinstance(tags, list) else None,
        clip(said.get("campaign"), _SHORT),
        *(clip(said.get(name), _TEXT) for name in _TEXTS),
        said.get("active") is not False,
        said.get("archived") is True,
        event.kind == "link.deleted",
        _time(said, "valid_since"),
        _time(said, "expires_at"),
        _whole(said.get("click_limit")),
        clip(said.get("by"), _SHORT),
    )


def stage_missed(event: RawEvent) -> tuple[object, ...]:
    """Return the row of MISSED_COLUMNS of a visit that met no link."""
    click, _ = _read(event.data)
    path = clip_key(clean(click.slug or ""), MAX_PATH)
    return *stage_event(event), clip_key(click.host or "", _SHORT), path, agent_for(event, click.label).is_bot


MAX_PATH: Final = 300


def agent_for(event: RawEvent, label: str | None) -> Agent:
    """Return the visitor's agent; one that only looked ahead counts as a bot, whose reason is the label."""
    agent = UNKNOWN if event.flags & _SERVER_AGENT else agent_of(event.user_agent)
    if label is None or agent.is_bot:
        return agent
    return agent._replace(is_bot=True, bot_reason=label[:_SHORT])


def _read(text: str) -> tuple[Click, str | None]:
    """Return what is said of a click, and its metadata as text for `jsonb`."""
    if "\\u" not in text:
        try:
            click = _click.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            pass
        else:
            # what the redirect writes holds none, and is as it should be
            return click, None if click.metadata is None else _metadata(text)
    found = read_object(text)
    if found is None:
        raise RejectedError("data_invalid", "The event's data is no JSON object.", "data")
    return _lenient(found[0])


def _metadata(text: str) -> str | None:
    found = read_object(text)
    return None if found is None else _written(found[0].get("metadata"))


def _written(value: object) -> str | None:
    return write_object(value) if isinstance(value, dict) else None


def _lenient(fields: Mapping[str, object]) -> tuple[Click, str | None]:
    """Return a click whose values are read as text or as absent, and its metadata."""
    texts: dict[str, Any] = {
        **{
            name: clip(fields.get(name), _TEXT)
            for name in ("host", "slug", "missed", "click_source", "session_id", "label")
        },
        **{name: clip(fields.get(name), MAX_URL_CHARACTERS) for name in ("target_url", "referrer_url")},
        **{name: clip(fields.get(name), _SHORT) for name in ("country", "city", "language")},
        **{name: clip(fields.get(name), MAX_UTM_CHARACTERS) for name in UTM_NAMES},
        **{name: _whole(fields.get(name)) for name in ("link_id", "rule", "variant")},
    }
    click = Click(tracking_id=clip(fields.get("tracking_id"), MAX_TRACKING_ID), **texts)
    return click, _written(fields.get("metadata"))


def _tracking_id(text: str | None) -> str:
    found = clean(text).strip()[:MAX_TRACKING_ID] if text else ""
    if not found:
        raise RejectedError("tracking_id_missing", "A click needs the tracking id of its link.", "tracking_id")
    return found


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def _number(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= _MOST_NUMBER else None


def _time(fields: Mapping[str, object], name: str) -> datetime | None:
    try:
        return parse_time(fields.get(name), name)
    except RefusedError:
        return None


@lru_cache(maxsize=_CACHED)
def _link(tenant_id: int, tracking_id: str) -> bytes:
    return hash_key(tenant_id, LINK, tracking_id)
