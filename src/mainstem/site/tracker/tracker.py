"""Serves the browser tracker `GET /t.js`: the built script with this installation's default baked in.

`tracker_asset` is computed once per process; `answer` decides one request. Neither does any I/O afterwards.
"""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final, NamedTuple

from mainstem.platform.settings import Settings

MAX_AGE_S: Final = 3_600
_RESPECT_DNT: Final = b"RESPECT_DNT"
_COMMON_HEADERS: Final = (
    (b"cache-control", b"public, max-age=%d" % MAX_AGE_S),
    # any page may load it, a cross-origin isolated one, too
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"vary", b"accept-encoding"),
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True)
class Asset:
    """The script, ready to send."""

    body: bytes
    gzip: bytes
    etag: str
    """Weak, quotes included: the same for both encodings."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of every answer, as ASGI takes them; length and encoding apart."""
        return (*_COMMON_HEADERS, (b"etag", self.etag.encode()))


class Answer(NamedTuple):
    """One HTTP answer, headers as ASGI takes them."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def tracker_asset(settings: Settings) -> Asset:
    """Return the tracker with TRACKER_RESPECT_DNT as its default."""
    built = files(__package__).joinpath("t.min.js").read_bytes()
    body = built.replace(_RESPECT_DNT, b"!0" if settings.tracker_respect_dnt else b"!1")
    return Asset(body, gzip.compress(body, 9, mtime=0), f'W/"{sha256(body).hexdigest()[:16]}"')


def answer(asset: Asset, *, if_none_match: str | None = None, accept_encoding: str | None = None) -> Answer:
    """Return 304 where the client has this version (RFC 9110, 13.1.2), else the script, gzip where it is accepted."""
    if if_none_match is not None and _names(if_none_match, asset.etag):
        return Answer(304, asset.headers, b"")
    if accepts_gzip(accept_encoding):
        return Answer(200, (*asset.headers, (b"content-encoding", b"gzip"), _length(asset.gzip)), asset.gzip)
    return Answer(200, (*asset.headers, _length(asset.body)), asset.body)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell whether an Accept-Encoding header allows gzip (RFC 9110, 12.5.3); an absent one does not ask for it."""
    qualities: dict[str, bool] = {}
    for item in (accept_encoding or "").lower().split(","):
        coding, _, parameters = item.strip().partition(";")
        quality = parameters.replace(" ", "").removeprefix("q=")
        qualities[coding.strip()] = not quality or quality.strip("0.") != ""
    return qualities.get("gzip", qualities.get("*", False))


def _names(if_none_match: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
