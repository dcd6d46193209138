"""Visits of short addresses: the redirect, its pages, and visits that meet no link.

Bare ASGI: a cached link without conditions costs one look into a dict, one small tuple for the click and one answer; all
else that a visit may need (rules, limits, passwords, pages) is the second half of this file. What a visit comes to is
decided by `links.resolve`, how clicks are kept by `links.clicks`.
"""

import os
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, quote

import structlog

from mainstem.front.body import ClientGoneError, Message, Receive, read_body
from mainstem.front.services import Services
from mainstem.links import pages
from mainstem.links.cache import Domain
from mainstem.links.clicks import read_visitor
from mainstem.links.pages import Reason
from mainstem.links.resolve import Fate, Link, Outcome, barred, destination, location, query_of, resolve
from mainstem.links.rules import Visit, languages_of
from mainstem.links.slugs import is_reserved, normalized
from mainstem.platform import metrics, passwords
from mainstem.platform.addresses import client_address
from mainstem.platform.clock import utc_now
from mainstem.platform.errors import (
    GoneError,
    MainstemError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitedError,
    UnavailableError,
)
from mainstem.platform.ids import uuid7
from mainstem.platform.log import capture
from mainstem.platform.problems import render
from mainstem.platform.web.agents import agent_of

Send = Callable[[Message], Awaitable[None]]

TRACK: Final = "/track/"
FORM: Final = b"application/x-www-form-urlencoded"
_MAX_FORM_BYTES: Final = 4_096
_ATTEMPTS: Final = 10
_ATTEMPTS_WINDOW_S: Final = 60
_NOTHING: Final[Message] = {"type": "http.response.body", "body": b""}
_PORTS: Final = (":80", ":443")
_ERRORS: Final[dict[int, type[MainstemError]]] = {404: NotFoundError, 410: GoneError}
_REASONS: Final = {
    Fate.INACTIVE: pages.INACTIVE,
    Fate.NOT_YET: pages.NOT_YET,
    Fate.EXPIRED: pages.EXPIRED,
    Fate.USED_UP: pages.USED_UP,
}
log = structlog.get_logger(__name__)


def is_visit(scope: dict[str, Any]) -> bool:
    """Tell whether a request is a visit: of no address of the product itself, by GET, HEAD or a form."""
    path: str = scope["path"]
    method = scope["method"]
    if method != "GET" and method != "HEAD" and not (method == "POST" and _is_form(scope)):  # noqa: PLR1714 - faster
        return False
    return not is_reserved(path[1:]) or (path.startswith(TRACK) and len(path) > len(TRACK))


def _is_form(scope: dict[str, Any]) -> bool:
    return any(name == b"content-type" and value.startswith(FORM) for name, value in scope["headers"])


class Redirect:
    """The redirect of one process."""

    def __init__(self, services: Services) -> None:
        """Bind the process's parts."""
        self._links = services.links
        self._clicks = services.clicks
        self._limiter = services.limiter
        self._proxies = services.trusted_proxies

    def owns_root(self, scope: dict[str, Any]) -> bool:
        """Tell whether the bare address is that of a tenant's domain, and no page of the product."""
        return bool(self._links.domains) and _host(dict(scope["headers"]).get(b"host", b"")) in self._links.domains

    def plain(self, scope: dict[str, Any]) -> Link | None:
        """Return the link that a request visits when it is kept and nothing but its target counts; no I/O.

        Asked for every GET, before any address of the product: no link is at one of those.
        """
        domains = self._links.domains
        host = ""
        if domains:
            host = _host(dict(scope["headers"]).get(b"host", b""))
            if host not in domains:
                host = ""
        link = self._links.fresh(host + scope["path"])
        return link if link is not None and link.plain and not scope["query_string"] else None

    async def go(self, link: Link, scope: dict[str, Any], send: Send) -> None:
        """Answer a visit of such a link."""
        visitor = read_visitor(dict(scope["headers"]), client_address(scope, self._proxies))
        # shared by all who came with it; only the end of the process cancels those who wait
        await self._clicks.went(link, link.told, visitor, utc_now())
        await send({"type": "http.response.start", "status": 302, "headers": link.headers})
        await send(_NOTHING)

    async def visit(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer any other visit."""
        headers = dict(scope["headers"])
        host = _host(headers.get(b"host", b""))
        link = await self._looked_up(scope, host)
        if link is not None and link.plain:
            await self.go(link, scope, send)
        else:
            await _Visit(self, scope, receive, send, headers, host).answer()

    async def _looked_up(self, scope: dict[str, Any], host: str) -> Link | None:
        """Return the link of a visit that is usual but for its link not being kept; None leaves it to `_Visit`."""
        path: str = scope["path"]
        usual = scope["method"] == "GET" and not scope["query_string"] and path.isascii() and path[-1] != "+"
        if not usual or path.startswith(TRACK) or path == "/" or self._links.shared is None:
            return None
        try:
            return await self._links.find(host if host in self._links.domains else "", path[1:])
        except UnavailableError:
            return None


class _Visit:
    """One visit that needs more than a look into the cache."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a request is made of
        self,
        redirect: Redirect,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        headers: dict[bytes, bytes],
        host: str,
    ) -> None:
        self._links = redirect._links  # noqa: SLF001 - its other half
        self._clicks = redirect._clicks  # noqa: SLF001
        self._limiter = redirect._limiter  # noqa: SLF001
        self._receive = receive
        self._send = send
        self._headers = headers
        self._host = host
        self._method: str = scope["method"]
        self._path: str = scope["path"]
        self._query: bytes = scope["query_string"]
        self._visitor = read_visitor(headers, client_address(scope, redirect._proxies))  # noqa: SLF001
        self._now = utc_now()

    async def answer(self) -> None:
        """Answer it, whatever happens."""
        try:
            await self._go()
        except ClientGoneError:
            return
        except UnavailableError:
            await self._reason(pages.BUSY)
        except MainstemError as error:
            await self._error(error)
        except Exception as error:
            metrics.unexpected_error(error)
            capture(error)
            log.exception("unexpected_error", path="/{slug}")
            await self._error(MainstemError())

    async def _go(self) -> None:
        domain = await self._links.domain(self._host)
        slug = normalized(self._path[1:])
        if not slug and domain.root_url is not None:
            await self._missed(domain, slug, domain.root_url)
            return
        preview = slug.endswith("+")
        link = await self._find(domain, slug.removesuffix("+")) if slug else None
        if link is None:
            await self._missed(domain, slug, domain.missing_url)
        elif preview:
            await self._preview(link)
        else:
            await self._visit(link)

    async def _find(self, domain: Domain, slug: str) -> Link | None:
        if self._path.startswith(TRACK):
            slug = slug.removeprefix(TRACK[1:])
            found = await self._links.find(domain.host, slug)
            return found or await self._links.by_tracking_id(domain.tenant_id, slug)
        return await self._links.find(domain.host, slug)

    async def _visit(self, link: Link) -> None:
        visitor = self._visitor
        unlocked = False
        if self._method == "POST":
            if link.password_hash is None:
                raise NotFoundError(pages.MISSING.sentence)
            if not await self._is_right(link):
                return
            unlocked = True
        visit = self._seen(link)
        who = self._clicks.visitor(link.tenant_id, visitor, self._now)
        outcome = resolve(link, visit, who, unlocked=unlocked)
        if outcome.fate is Fate.GO and link.click_limit is not None:
            takes = not (visit.agent.is_bot or visitor.label or self._method == "HEAD")
            left = await self._links.spend(link, takes=takes)
            outcome = outcome if left else resolve(link, visit, who, unlocked=unlocked, clicks_left=False)
        await self._come_to(link, visit, outcome)

    def _seen(self, link: Link) -> Visit:
        visitor = self._visitor
        agent = agent_of(visitor.user_agent)
        query = query_of(self._query) if self._query else ()
        if not link.rules:
            return Visit(now=self._now, agent=agent, query=query)
        place = self._clicks.place_of(visitor.ip)
        languages = languages_of(self._headers.get(b"accept-language", b"").decode("latin-1"))
        return Visit(
            now=self._now,
            agent=agent,
            languages=languages,
            query=query,
            ip=visitor.ip,
            country=place.country,
            city=place.city,
        )

    async def _come_to(self, link: Link, visit: Visit, outcome: Outcome) -> None:
        if outcome.fate is Fate.PASSWORD:
            self._clicks.seen("password")
            await self._page(200, pages.password_page(self._own_path(), wrong=False))
            return
        if outcome.target_url is None:
            self._clicks.seen(str(outcome.fate))
            await self._reason(_REASONS[outcome.fate])
            return
        status = 303 if self._method == "POST" else 302
        if outcome.fate is not Fate.GO:
            self._clicks.seen(str(outcome.fate))
            await self._redirect(status, outcome.target_url)
            return
        uid = uuid7()
        landed = destination(link, outcome.target_url, visit.query, str(uid))
        if self._method == "HEAD":
            # some look four times at a link that is posted once (dub#2309)
            self._clicks.seen("head")
        else:
            told = link.tell(outcome.target_url, landed=landed, rule=outcome.rule, variant=outcome.variant)
            await self._clicks.went(link, told, self._visitor, self._now, uid=uid)
        await self._redirect(status, landed)

    async def _is_right(self, link: Link) -> bool:
        """Check the password of a form; answer where it is wrong."""
        subject = f"link:{link.link_id}:{self._visitor.ip}"
        allowance = await self._limiter.take(subject, 1, limit=_ATTEMPTS, window_s=_ATTEMPTS_WINDOW_S)
        if not allowance.allowed:
            metrics.rate_limited("link_password")
            await self._reason(pages.TOO_OFTEN, retry_after_s=allowance.retry_after_s)
            return False
        body = await read_body(self._receive, limit=_MAX_FORM_BYTES, length=self._headers.get(b"content-length"))
        given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).get("password", [""])[0]
        right, _ = await passwords.verify(given, link.password_hash)
        if not right:
            self._clicks.seen("wrong_password")
            await self._page(403, pages.password_page(self._own_path(), wrong=True))
        return right

    async def _preview(self, link: Link) -> None:
        self._clicks.seen("preview")
        bar = barred(link, self._now, unlocked=False)
        if bar is None:
            short = self._headers.get(b"host", b"").decode("latin-1") + self._path.removesuffix("+")
            go = self._own_path()
            page = pages.preview_page(short, link.target_url, title=link.title, created_at=link.created_at, go=go)
            await self._page(200, page)
        elif bar.fate is Fate.PASSWORD:
            # where it leads is what the password keeps
            await self._page(200, pages.password_page(self._own_path(), wrong=False))
        else:
            await self._reason(_REASONS[bar.fate])

    async def _missed(self, domain: Domain, path: str, instead: str | None) -> None:
        if self._method == "POST":
            raise NotFoundError(pages.MISSING.sentence)
        if self._method == "GET":
            waits = self._clicks.missed(domain.tenant_id, domain.host, path, self._visitor, self._now)
            if waits is not None:
                await waits
        if instead is None:
            await self._reason(pages.MISSING)
        else:
            await self._redirect(302, instead)

    def _own_path(self) -> str:
        """Return the path of the link itself, without the sign of a preview."""
        return quote(self._path.removesuffix("+"))

    async def _redirect(self, status: int, url: str) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": location(url)})
        await self._send(_NOTHING)

    async def _reason(self, reason: Reason, *, retry_after_s: int = 1) -> None:
        if b"text/html" in self._headers.get(b"accept", b""):
            more = [(b"retry-after", b"%d" % retry_after_s)] if reason.status in {429, 503} else []
            await self._page(reason.status, pages.reason_page(reason), more)
            return
        sentence = f"{reason.title}. {reason.sentence}"
        match reason.status:
            case 429:
                error: MainstemError = RateLimitedError(sentence, retry_after_s=retry_after_s)
            case 503:
                error = UnavailableError(sentence, retry_after_s=retry_after_s)
            case status:
                error = _ERRORS[status](sentence, code=reason.code)
        await self._error(error)

    async def _error(self, error: MainstemError) -> None:
        if isinstance(error, PayloadTooLargeError):
            await self._page(403, pages.password_page(self._own_path(), wrong=True))
            return
        status, headers, body = render(error, os.urandom(12).hex())
        await self._whole(status, headers, body)

    async def _page(self, status: int, body: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
        await self._whole(status, [*pages.HEADERS, *(more or []), (b"content-length", b"%d" % len(body))], body)

    async def _whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self._method == "HEAD" else body})


@lru_cache(maxsize=4_096)
def _host(header: bytes) -> str:
    """Return the host of a Host header as domains are kept: in lower case, without a usual port."""
    host = header.decode("latin-1").strip().lower()
    for port in _PORTS:
        host = host.removesuffix(port)
    return host
