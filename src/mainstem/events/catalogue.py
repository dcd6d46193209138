"""The catalogue: the kinds of events the product itself knows, each with a sentence and its fields.

A kind is dotted lower-case words (`page.viewed`). Kinds that are not listed are welcome as custom events; they
are kept and loaded with their data as it came. Nothing here is enforced: it documents, and the docs are
checked against it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec


@dataclass(frozen=True, slots=True)
class Field:
    """One documented field of an event's data."""

    name: str
    meaning: str
    required: bool = False
    private: bool = False
    """Never handed to an endpoint: see `handed_out`."""


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind, or a family of kinds when `pattern` ends in `*`."""

    pattern: str
    meaning: str
    sent_by: str
    fields: tuple[Field, ...] = ()


_SITE_FIELDS: Final = (
    Field("event_type", "What happened, in the sender's word; page_view when absent."),
    Field("session_id", "The sender's session; without one, sessions are made by the 30-minute rule."),
    Field("user_id", "The signed-in user, in the sender's terms."),
    Field("visitor_id", "The sender's visitor; without one, a cookieless key is made."),
    Field("event_id", "The sender's message id: the same id is one event for ever."),
    Field("timestamp", "When it happened (ISO 8601 or Unix time); now when absent."),
    Field("event_data", "Anything else, as an object; every field here counts at the top level, too."),
    Field("page_title", "Title of the page; also `title`."),
    Field("referrer", "Where the visitor came from; also `page_referrer` and `referrer_url`."),
    Field("utm_source", "Campaign source; utm_medium, utm_campaign, utm_term and utm_content likewise."),
    Field("viewport", "Size of the window, `width x height`; also viewport_width and viewport_height."),
    Field("screen_resolution", "Size of the screen."),
    Field("scroll_depth", "How far the page was scrolled, in percent."),
    Field("time_on_page", "Seconds on the page."),
    Field("user_agent", "The visitor's user agent, where a server sends for the visitor."),
    Field("ip_address", "The visitor's address, where a server sends for the visitor; kept as IP_MODE says."),
    Field("sent_at", "The sender's clock when it sent the event; corrects a clock that is wrong."),
    Field("language", "The browser's language."),
)

_ENDPOINT_FIELDS: Final = (
    Field("webhook_id", "The endpoint.", required=True),
    Field("uid", "Its id across installations."),
    Field("name", "Its name.", required=True),
    Field("host", "Host of its address; the rest may be a credential."),
    Field("events", "Patterns of the kinds that it gets."),
    Field("is_active", "Whether events are delivered to it."),
    Field("changed", "Names of what was changed; `secret` after a rotation."),
    Field("reason", "Why it was switched off."),
    Field("by", "Who changed it: `key:<id>`, `user:<id>` or `cli`; absent when nobody did."),
)
_HEALTH_FIELDS: Final = (
    Field("webhook_id", "The endpoint.", required=True),
    Field("name", "Its name.", required=True),
    Field("was", "Its health before.", required=True),
    Field("health", "healthy, degraded or failing.", required=True),
)
_ALERT_FIELDS: Final = (
    Field("alert_id", "The alert; an integer.", required=True),
    Field("alert_type", "Name of its rule, or as it was sent.", required=True),
    Field("severity", "CRITICAL, WARNING or INFO.", required=True),
    Field("message", "What is wrong, with the figures.", required=True),
    Field("status", "firing, acknowledged or resolved.", required=True),
    Field("labels", "What it is about: alertname, severity, tenant, and more.", required=True),
    Field("fingerprint", "The same for every occurrence of the same alert.", required=True),
    Field("rule_id", "Its rule; null where it was sent to the API."),
    Field("webhook_id", "The endpoint that it is about."),
    Field("value", "What was measured when it was raised; null with no_data: nothing was known."),
    Field("suppressed_by", "Silences that keep people from being told of it."),
    Field("started_at", "When the condition began to hold; created_at: when it was raised."),
    Field("acknowledged_by", "Who knows of it, with acknowledged_at and notes."),
    Field("resolved_at", "When it was over; resolved_by: who ended it, null where nobody had to."),
)

_BOOKING_FIELDS: Final = (
    Field("connector", "Name of the connector.", required=True),
    Field("booking_id", "The source's id of what becomes one order.", required=True),
    Field("group_id", "The source's id of what several of them belong to."),
    Field("site_id", "The source's site.", required=True),
    Field("establishment", "Where in the sink its order goes."),
    Field("name", "Name of the booking."),
    Field("on", "The day it takes place."),
    Field("status", "The source's word, in capitals: DEFINITE, CLOSED and so on."),
    Field("deleted", "Whether the source has it no more."),
    Field("guests", "How many are expected."),
    Field("total", "What the source says it costs; a number as text."),
    Field("lines", "Items with line_id, name, quantity, unit_price, category and note; null: not told yet."),
    Field("local_id", "Name of its order in the sink."),
    Field("version", "Grows with each change that is known of.", required=True),
)
_ORDER_FIELDS: Final = (
    *_BOOKING_FIELDS,
    Field("order_id", "The sink's id of the order, as far as it is known."),
    Field("order_hash", "Of all that makes a difference to the kitchen."),
    Field("reason", "Why: REVEL_INJECTED, UNMAPPED_ITEM and so on.", required=True),
    Field("error", "The reason in a sentence."),
)

_TASK_FIELDS: Final = (
    Field("task_id", "Number of the task within the tenant.", required=True),
    Field("uid", "The task's own id; also the event's subject.", required=True),
    Field("version", "Grows with each change.", required=True),
    Field("user_id", "Its owner; assignee_id: who is to do it; shared_with: who else sees it.", required=True),
    Field("status", "pending, in_progress or completed; completed, priority likewise.", required=True),
    Field("due_date", "When it is due; all_day, recurrence, occurrence, completed_at likewise."),
    Field("links", "Things of the hub that it is about: type and id."),
    Field("by", "Who did it: user:<id>, rule:<id> or cli.", required=True),
    Field("changed", "Names of what changed."),
    Field(
        "private",
        "What people wrote (title, description, labels, comment), sealed by the owner's key. Webhooks never get it.",
        private=True,
    ),
)
_TASKS_BY: Final = "the tasks API, the assistant, `mainstem task` and task rules"

KINDS: Final = (
    EventKind(
        "page.viewed",
        "A page was seen: a site event whose event_type is page_view.",
        "site tracking, the browser tracker and the access-log import",
        (Field("page_url", "Address of the page; also `url`.", required=True), *_SITE_FIELDS),
    ),
    EventKind(
        "site.*",
        "Anything else that happened on a site; the last word is made from event_type (`add to cart` is site.add_to_cart).",
        "site tracking, the browser tracker and the access-log import (site.request)",
        (Field("page_url", "Address of the page; also `url`."), *_SITE_FIELDS),
    ),
    EventKind(
        "link.clicked",
        "A tracked link was clicked. The event's subject is the tracking id.",
        "the redirect (source `links`) and POST /api/tracking-ingest/batch (source `tracking-ingest`)",
        (
            Field("tracking_id", "Name of the link within the tenant.", required=True),
            Field("link_id", "The link; absent where it was never registered."),
            Field("host", "Host of the link's domain; absent for the hub's own address."),
            Field("target_url", "Where the visitor was sent, without what the visit added."),
            Field("click_source", "`redirect`, or what the sender says: external_domain when it says nothing."),
            Field("referrer_url", "Address of the page before."),
            Field("session_id", "The sender's session."),
            Field("metadata", "What the sender added."),
            Field("label", "`prefetch` or `preview`: somebody only looked ahead; counted with the bots."),
            Field("rule", "Number of the redirect rule that decided, from 1."),
            Field("variant", "Number of the variant that was shown, from 1."),
            Field("country", "ISO 3166-1 alpha-2, where GEOIP_FILE is set; city likewise."),
            Field("language", "The browser's first language."),
            Field("utm_source", "Campaign of the link and of the visit; the other utm_* likewise."),
        ),
    ),
    EventKind(
        "link.missed",
        "An address was visited that is no link.",
        "the redirect",
        (
            Field("slug", "The path that was asked for.", required=True),
            Field("missed", "base_url, invalid_short_url or regular_404."),
            Field("host", "Host of a tenant's own; absent for the hub's own address."),
            Field("referrer_url", "Address of the page before."),
        ),
    ),
    *(
        EventKind(
            f"link.{verb}",
            sentence,
            "the links API and `mainstem links`",
            (
                Field("tracking_id", "Name of the link within the tenant; also the event's subject.", required=True),
                Field("link_id", "The link.", required=True),
                Field("host", "Host of its domain; empty for the hub's own address."),
                Field("slug", "The path after the host's slash."),
                Field("target_url", "Where it leads."),
                Field("tags", "Its tags; title, description, campaign, utm_* and the other fields likewise."),
                Field("active", "Whether it redirects; archived likewise."),
                Field("by", "Who changed it: `key:<id>`, `user:<id>` or `cli`."),
            ),
        )
        for verb, sentence in (
            ("created", "A tracked link was made."),
            ("updated", "A tracked link was changed; the fields say what it is now."),
            ("deleted", "A tracked link was deleted; the fields say what it was."),
        )
    ),
    EventKind(
        "subject.erased",
        "A person was erased: whoever keeps a copy of what is known about the subject deletes it now.",
        "the subjects API and `mainstem subject erase`",
        (
            Field("subject_id", "The random id of the person; also the event's subject.", required=True),
            Field("by", "Who asked: `key:<id>`, `user:<id>` or `cli`.", required=True),
            Field("ticket", "Reference of the request."),
            Field("counts", "Identifiers and keys deleted, refused events blanked.", required=True),
        ),
    ),
    *(
        EventKind(f"webhook.endpoint_{verb}", sentence, "the webhooks API and `mainstem webhooks`", _ENDPOINT_FIELDS)
        for verb, sentence in (
            ("created", "A webhook endpoint was made."),
            ("updated", "A webhook endpoint or its secret was changed; the fields say what it is now."),
            ("deleted", "A webhook endpoint was deleted; the fields say what it was."),
            ("enabled", "A webhook endpoint was switched on."),
            (
                "disabled",
                "A webhook endpoint was switched off, by hand, by an answer of 410, or after failing for long.",
            ),
        )
    ),
    EventKind(
        "webhook.test",
        "A test of a webhook endpoint. It is delivered to that endpoint alone and is in no log of events.",
        "POST /api/v1/webhooks/{id}/test and `mainstem webhooks test`",
        (
            Field("message", "A sentence.", required=True),
            Field("webhook_id", "The endpoint.", required=True),
            Field("name", "Its name.", required=True),
            Field("by", "Who asked: `key:<id>`, `user:<id>` or `cli`.", required=True),
        ),
    ),
    EventKind(
        "webhook.failing",
        "Less than half of an endpoint's attempts arrived in the last quarter of an hour.",
        "the worker of deliveries",
        _HEALTH_FIELDS,
    ),
    EventKind(
        "webhook.recovered", "An endpoint that was failing is better.", "the worker of deliveries", _HEALTH_FIELDS
    ),
    EventKind(
        "webhook.exhausted",
        "Deliveries were given up. They are kept, and can be sent again.",
        "the worker of deliveries; once for all that end together",
        (
            Field("webhook_id", "The endpoint.", required=True),
            Field("deliveries", "How many.", required=True),
            Field("delivery_ids", "The first twenty of them.", required=True),
            Field("last_status_code", "What the endpoint answered last; null: nothing."),
            Field("last_error", "The last error, as a sentence."),
        ),
    ),
    EventKind(
        "webhook.endpoint_warned",
        "An endpoint only fails, and will be switched off if it goes on.",
        "the upkeep of endpoints, at half and at nine tenths of WEBHOOK_DISABLE_AFTER_HOURS",
        (
            Field("webhook_id", "The endpoint.", required=True),
            Field("name", "Its name.", required=True),
            Field("failing_since", "Its first failure since a success.", required=True),
            Field("failing_hours", "Hours from then to its last failure.", required=True),
            Field("disabled_after_hours", "Hours of that after which it is switched off.", required=True),
        ),
    ),
    *(
        EventKind(f"booking.{verb}", sentence, "connectors", _BOOKING_FIELDS)
        for verb, sentence in (
            ("received", "A connector has got to know a booking."),
            ("updated", "A booking that is known has changed; the fields say what it is now."),
            ("cancelled", "A booking was cancelled, or the source has it no more."),
        )
    ),
    *(
        EventKind(f"order.{verb}", sentence, "connectors", _ORDER_FIELDS)
        for verb, sentence in (
            ("injected", "The order of a booking was made in the sink, or brought up to date there."),
            ("failed", "The order of a booking can't be made before somebody acts."),
            ("voided", "The order of a booking is void, by the connector or by hand."),
            ("unknown", "An order was sent and no answer came; the connector looks for it until it knows."),
        )
    ),
    EventKind("alert.raised", "Something is wrong from now on.", "rules, and POST /api/v1/alerts", _ALERT_FIELDS),
    EventKind(
        "alert.acknowledged",
        "Somebody knows of an alert: it is not repeated any more.",
        "the alerts API and `mainstem alerts ack`",
        _ALERT_FIELDS,
    ),
    EventKind("alert.resolved", "An alert is over.", "rules, and the alerts API", _ALERT_FIELDS),
    EventKind(
        "alert.notified",
        "People were told of a group of alerts. The data are the body of a webhook of Alertmanager, version 4: endpoints with "
        "the envelope `bare` deliver it to whatever understands that.",
        "groups of alerts that are due, and tests of rules",
        (
            Field("version", '"4".', required=True),
            Field("status", "firing while any of them fires, else resolved.", required=True),
            Field("groupKey", "The same in every notification of a group.", required=True),
            Field("receiver", "Mail addresses of the rules, or default.", required=True),
            Field("groupLabels", "Labels that the group is grouped by; commonLabels and commonAnnotations likewise."),
            Field("externalURL", "Address of this hub."),
            Field("alerts", "Alerts with status, labels, annotations, startsAt, endsAt, generatorURL and fingerprint."),
            Field("truncatedAlerts", "How many more there are."),
            Field("alert_id", "Id of the first of them, 0 in a test; alert_ids: of all.", required=True),
        ),
    ),
    *(
        EventKind(f"task.{verb}", sentence, _TASKS_BY, _TASK_FIELDS)
        for verb, sentence in (
            ("created", "A task was made."),
            ("updated", "A task was changed."),
            ("completed", "A task was done."),
            ("reopened", "A completed task is open again."),
            ("deleted", "A task was deleted."),
            ("assigned", "A task has another assignee, or none."),
            ("shared", "A task is shared with somebody: `with`."),
            ("unshared", "A task is shared with somebody no more: `with`."),
            ("commented", "Somebody said something about a task."),
            ("linked", "A task is about a thing of the hub: `link`."),
            ("unlinked", "A task is about a thing of the hub no more: `link`."),
            ("reminded", "Somebody was reminded of a task: `of`."),
        )
    ),
    EventKind(
        "*",
        "A custom event: any other dotted kind, with any object as its data.",
        "whoever calls POST /api/v1/events",
    ),
)
"""From the most special to the fallback: the first that matches describes a kind."""


def describe(kind: str) -> EventKind:
    """Return the entry that describes a kind; custom events are described by the last one."""
    return next(entry for entry in KINDS if matches(entry.pattern, kind))


def matches(pattern: str, kind: str) -> bool:
    """Tell whether a kind falls under a dotted pattern.

    `*` stands for exactly one word, but at the end for one or more: `*` matches every kind, `site.*` matches
    `site.click` and `site.form.sent` but not `site`, `*.viewed` matches `page.viewed` but not `a.page.viewed`.
    """
    wanted, words = pattern.split("."), kind.split(".")
    if wanted[-1] == "*" and len(words) > len(wanted):
        words = words[: len(wanted)]
    return len(wanted) == len(words) and all(want in ("*", word) for want, word in zip(wanted, words, strict=True))


def handed_out(kind: str, data: str) -> str:
    """Return the JSON of an event's data as others may have it: without the members that are private."""
    private = _private(kind)
    if not private:
        return data
    try:
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return "{}"
    return msgspec.json.encode({name: value for name, value in members.items() if name not in private}).decode()


@lru_cache(maxsize=4_096)
def _private(kind: str) -> frozenset[str]:
    return frozenset(field.name for field in describe(kind).fields if field.private)


def page() -> str:
    """Return `docs/reference/events.md`: every kind with its sentence, sender and fields."""
    lines = [
        "# Events",
        "",
        "Generated from the source by `make docs`; changes here are lost.",
        "",
        "An event is `{kind, data, occurred_at, source, message_id, subject}`. Kinds are dotted lower-case words. Kinds that",
        "are not listed are welcome: send them to `POST /api/v1/events`, with any JSON object as `data`.",
        "",
    ]
    for entry in KINDS:
        lines += [f"## `{entry.pattern}`", "", entry.meaning, "", f"Sent by {entry.sent_by}.", ""]
        if entry.fields:
            lines += ["| field | required | meaning |", "|---|:---:|---|"]
            lines += [
                f"| `{field.name}` | {'yes' if field.required else ''} | {field.meaning} |" for field in entry.fields
            ]
            lines.append("")
    return "\n".join(lines)
