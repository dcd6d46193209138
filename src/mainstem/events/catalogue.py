"""The catalogue: the kinds of events the product itself knows, each with a sentence and its fields.

A kind is dotted lower-case words (`page.viewed`). Kinds that are not listed are welcome as custom events; they
are kept and loaded with their data as it came. Nothing here is enforced: it documents, and the docs are
checked against it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Field:
    """One documented field of an event's data."""

    name: str
    meaning: str
    required: bool = False


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
