"""What becomes of a visit of a link. Pure: a function of the link, the visit and the time.

The order is that of the guide (docs/guides/redirects.md): inactive, not yet valid, expired, password, click limit, rules,
variants, target. Whether clicks are left is the database's to say, so the caller passes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from mainstem.links.click import Click
from mainstem.links.rules import Rule, Visit, decide
from mainstem.links.targets import utm_of, with_parameters
from mainstem.links.variants import Variant, choose
from mainstem.platform.web.urls import UTM_NAMES

CLICK_PARAMETER: Final = "ms_click"
REDIRECT: Final = "redirect"
_MOST_PARAMETERS: Final = 100
_encode: Final = msgspec.json.Encoder().encode
_NO_UTM: Final = (None,) * len(UTM_NAMES)


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """A tracked link as the redirect needs it; made once when it is looked up."""

    tenant_id: int
    link_id: int
    host: str
    slug: str
    tracking_id: str
    target_url: str
    """With the utm_* of the link and its campaign."""
    utm: tuple[str | None, ...] = _NO_UTM
    """utm_* of the link and its campaign, which its other targets get, too; in the order of UTM_NAMES."""
    title: str | None = None
    created_at: datetime | None = None
    active: bool = True
    valid_since: datetime | None = None
    expires_at: datetime | None = None
    expired_url: str | None = None
    """The link's own, else that of its domain."""
    click_limit: int | None = None
    limit_url: str | None = None
    password_hash: str | None = None
    forward_query: bool = True
    append_click: bool = False
    rules: tuple[Rule, ...] = ()
    variants: tuple[Variant, ...] = ()
    plain: bool = field(init=False)
    """Whether every visit without a query goes to the target, whatever else."""
    headers: list[tuple[bytes, bytes]] = field(init=False)
    """Of the answer to a visit that goes to the target as it is."""
    told: str = field(init=False)
    """Beginning of the data of such a click: a JSON object without its last brace."""
    age: int = 0
    """When it was looked up, for the cache."""

    def __post_init__(self) -> None:
        """Prepare what every visit needs."""
        self.plain = self.active and not (
            self.valid_since
            or self.expires_at
            or self.click_limit
            or self.password_hash
            or self.append_click
            or self.rules
            or self.variants
        )
        self.headers = location(self.target_url)
        self.told = self.tell(self.target_url)

    def tell(self, target_url: str, *, landed: str = "", rule: int | None = None, variant: int | None = None) -> str:
        """Return the beginning of the data of a click: a JSON object without its last brace.

        `landed` is the address with what the visit added to it: of that, only the campaign is told.
        """
        click = Click(
            tracking_id=self.tracking_id,
            link_id=self.link_id,
            host=self.host or None,
            click_source=REDIRECT,
            target_url=target_url,
            rule=rule,
            variant=variant,
            **dict(zip(UTM_NAMES, utm_of(landed or target_url), strict=True)),  # type: ignore[arg-type]  # all are texts
        )
        return _encode(click).decode()[:-1]


class Fate(StrEnum):
    """What becomes of a visit."""

    GO = "go"
    INACTIVE = "inactive"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    PASSWORD = "password"  # noqa: S105 - a word, no secret
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a visit goes, and why; without a target it is answered by a page."""

    fate: Fate
    target_url: str | None = None
    rule: int | None = None
    """From 1."""
    variant: int | None = None
    """From 1."""


def resolve(link: Link, visit: Visit, visitor: str, *, unlocked: bool = False, clicks_left: bool = True) -> Outcome:
    """Return what becomes of a visit.

    `unlocked` says that the password was right, `clicks_left` that the click limit leaves this click.
    """
    bar = barred(link, visit.now, unlocked=unlocked)
    if bar is not None:
        return bar
    if not clicks_left:
        return Outcome(Fate.USED_UP, link.limit_url or link.expired_url)
    rule = decide(link.rules, visit) if link.rules else None
    if rule is not None:
        return Outcome(Fate.GO, _tagged(link, link.rules[rule].target_url), rule=rule + 1)
    if link.variants:
        variant = choose(link.variants, visitor, link.link_id)
        return Outcome(Fate.GO, _tagged(link, link.variants[variant].target_url), variant=variant + 1)
    return Outcome(Fate.GO, link.target_url)


def barred(link: Link, now: datetime, *, unlocked: bool) -> Outcome | None:
    """Return what keeps every visit of a link from its target now, None when nothing does."""
    if not link.active:
        return Outcome(Fate.INACTIVE)
    if link.valid_since is not None and now < link.valid_since:
        return Outcome(Fate.NOT_YET)
    if link.expires_at is not None and now >= link.expires_at:
        return Outcome(Fate.EXPIRED, link.expired_url)
    return Outcome(Fate.PASSWORD) if link.password_hash is not None and not unlocked else None


def destination(link: Link, target_url: str, query: Sequence[tuple[str, str]], click_id: str) -> str:
    """Return the address for Location: the target, the visit's parameters over its own, and the click's id by option."""
    added = [pair for pair in query if pair[0] != CLICK_PARAMETER] if link.forward_query else []
    if link.append_click:
        added.append((CLICK_PARAMETER, click_id))
    return with_parameters(target_url, added)


def query_of(query_string: bytes) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a visit, the first hundred of them, those without a value with an empty one."""
    text = query_string.decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return ()
    return tuple(pairs)


def location(url: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a redirect; the address is ASCII without line breaks, as `safe_target` makes it."""
    return [
        (b"location", url.encode("ascii", "xmlcharrefreplace").replace(b"\r", b"").replace(b"\n", b"")),
        (b"cache-control", b"private, no-store"),
        (b"content-length", b"0"),
    ]


def _tagged(link: Link, url: str) -> str:
    return with_parameters(
        url, [(name, value) for name, value in zip(UTM_NAMES, link.utm, strict=True) if value is not None]
    )
