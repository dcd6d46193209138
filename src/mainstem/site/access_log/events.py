"""Turns one line of an access log into an event, or into a reject with its line number. Pure; stores nothing.

A successful GET (2xx, or 304: the reader saw the copy in the cache) of something that is not an asset is
`page.viewed`. Everything else that was asked for is `site.request`: assets, other methods, errors, redirects,
requests that are not HTTP. Both are activity of the visitor.
"""

from datetime import datetime, timedelta
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec

from mainstem.events.model import EventFlag, NewEvent, Reject
from mainstem.events.receive import Sender
from mainstem.platform.addresses import stored_ip, visitor_key
from mainstem.platform.clock import utc_now
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.ids import event_uid
from mainstem.platform.secrets import derive
from mainstem.platform.settings import SaltRotation, Settings
from mainstem.site.access_log.parse import Hit, Malformed, parse_line
from mainstem.site.access_log.reader import MAX_LINE_BYTES, Line

SOURCE: Final = "access-log"
DEFAULT_SITE: Final = "http://localhost"
MAX_URL_CHARACTERS: Final = 4_096
MAX_USER_AGENT_CHARACTERS: Final = 512
_READ_BY_PROGRAMS: Final = "css js mjs cjs map json jsonl xml rss atom txt csv wasm webmanifest"
_PICTURES_AND_FONTS: Final = "png jpg jpeg jfif gif svg svgz webp avif heic bmp tif tiff ico cur woff woff2 ttf otf eot"
_SOUND_AND_FILM: Final = "mp3 m4a ogg oga wav flac mp4 m4v webm ogv avi mov mkv flv swf m3u8 ts vtt"
_DOCUMENTS: Final = "pdf ps doc docx xls xlsx ppt pptx odt ods odp epub"
_DOWNLOADS: Final = (
    "zip gz tgz bz2 xz zst 7z rar tar jar war deb rpm apk exe msi dmg pkg iso img bin dat sig asc md5 sha256 torrent "
    "pcap patch diff log sql db py pl rb sh c h cpp java"
)
ASSET_EXTENSIONS: Final = frozenset(
    f"{_READ_BY_PROGRAMS} {_PICTURES_AND_FONTS} {_SOUND_AND_FILM} {_DOCUMENTS} {_DOWNLOADS}".split()
)
_SEEN: Final = frozenset((*range(200, 300), HTTPStatus.NOT_MODIFIED))
_ENCODER: Final = msgspec.json.Encoder()


def log_sender(settings: Settings, *, tenant_id: int, secret: bytes) -> Sender:
    """Return the sender of a tenant's log lines; `secret` is the installation's (`platform.secrets.secret_key`).

    The visitor key never rotates, whatever VISITOR_SALT_ROTATION says: a log is the operator's own record of
    addresses, and with a key per day every visitor would be counted once a day.
    """
    return Sender(
        tenant_id=tenant_id,
        received_at=utc_now(),
        ip=None,
        user_agent=None,
        server=False,
        future_tolerance=timedelta(seconds=settings.future_tolerance_seconds),
        stored_ip=partial(stored_ip, mode=settings.ip_mode, salt=derive(secret, "ip")),
        visitor_key=partial(visitor_key, secret=derive(secret, "visitor"), rotation=SaltRotation.NEVER),
    )


def to_event(line: Line, *, sender: Sender, site: str | None) -> NewEvent | Reject:
    """Return the event of one line, or the reject that says why there is none.

    `site` is scheme://host of every page; without it the log's virtual host counts, else DEFAULT_SITE.
    """
    hit = parse_line(line.text)
    if isinstance(hit, Malformed):
        return _reject(line, sender, hit.code, hit.reason)
    # a writer that is in the middle of the line: the rest of it would make another event
    if not line.complete and not hit.combined:
        return _reject(line, sender, "incomplete_line", "the last line has no line end and may not be whole")
    return _event(line, hit, sender, site)


def site_of(text: str) -> str:
    """Return scheme://host of an operator's `--site`, host in lower case. Raises InvalidFieldError."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        detail = f"site must be like https://www.example.com, not {text!r}."
        raise InvalidFieldError(detail, field="site")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def is_page_view(method: str | None, status: int | None, path: str | None) -> bool:
    """Tell whether a request is a page that a reader saw, as opposed to an asset, a probe or a failure."""
    return method == "GET" and status in _SEEN and not _is_asset(path or "")


@lru_cache(maxsize=4096)
def _is_asset(path: str) -> bool:
    name = path.partition("?")[0].partition("#")[0].rpartition("/")[2]
    return name.rpartition(".")[2].lower() in ASSET_EXTENSIONS if "." in name else False


def _event(line: Line, hit: Hit, sender: Sender, site: str | None) -> NewEvent:
    method, target, protocol = hit.request
    path = _path(target)
    page_view = is_page_view(method, hit.status, path)
    details: dict[str, object] = {"method": method, "status": hit.status, "bytes": hit.size, "protocol": protocol}
    if target is not None and target != path:
        details["target"] = target[:MAX_URL_CHARACTERS]
    data: dict[str, object] = {"event_type": "page_view" if page_view else "request", "event_data": details}
    if path is not None:
        data["page_url"] = (_base(site, hit.vhost) + path)[:MAX_URL_CHARACTERS]
    if hit.referrer is not None:
        data["referrer"] = hit.referrer[:MAX_URL_CHARACTERS]
    agent = None if hit.user_agent is None else hit.user_agent[:MAX_USER_AGENT_CHARACTERS]
    occurred_at, flags = _when(hit.occurred_at, sender)
    return NewEvent(
        sender.received_at,
        sender.tenant_id,
        event_uid(sender.tenant_id, SOURCE, line.message_id),
        "page.viewed" if page_view else "site.request",
        occurred_at,
        SOURCE,
        line.message_id,
        None,
        sender.visitor_key(sender.tenant_id, hit.client, agent, occurred_at),
        sender.stored_ip(hit.client),
        agent,
        flags,
        _ENCODER.encode(data).decode(),
    )


def _when(moment: datetime, sender: Sender) -> tuple[datetime, EventFlag]:
    if moment > sender.received_at + sender.future_tolerance:
        return sender.received_at, EventFlag.FUTURE_CORRECTED
    return moment, EventFlag.NONE


def _path(target: str | None) -> str | None:
    """Return path and query of a request target; of an absolute one (a proxy's, a probe's) without its host."""
    if target is None or target.startswith("/"):
        return target
    if target[:7].lower() == "http://" or target[:8].lower() == "https://":
        _, slash, rest = target.partition("://")[2].partition("/")
        return slash + rest or "/"
    return None


@lru_cache(maxsize=1024)
def _base(site: str | None, vhost: str | None) -> str:
    if site is not None or vhost is None:
        return site or DEFAULT_SITE
    host, _, port = vhost.lower().rpartition(":")
    if not host or not port.isdigit():
        return f"http://{vhost.lower()}"
    if port in {"80", "443"}:
        return f"http://{host}" if port == "80" else f"https://{host}"
    return f"http://{host}:{port}"


def _reject(line: Line, sender: Sender, code: str, reason: str) -> Reject:
    return Reject(
        sender.tenant_id,
        None,
        "import",
        code,
        f"line {line.number}: {reason}",
        None,
        None,
        SOURCE,
        line.text[:MAX_LINE_BYTES],
    )
