"""Pages that visitors see instead of a target: preview, password, and why there is nothing. No script, no foreign origin."""

from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from html import escape
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#17212b;--soft:#5b6b7a;--line:#dfe5ea;--card:#fff;--page:#f3f5f7;--accent:#0b6b6f}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf1;--soft:#9fb0bf;--line:#2b3843;--card:#18212a;--page:#0f161c;
--accent:#4fc3c7}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--page);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:2rem;
box-shadow:0 10px 30px rgb(15 25 35/.07)}
h1{margin:0 0 .5rem;font-size:1.35rem;line-height:1.3;text-wrap:balance;overflow-wrap:anywhere}
p{margin:.5rem 0;color:var(--soft)}
dl{margin:1.25rem 0;display:grid;gap:.9rem}
dt{font-size:.8rem;color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code{font:0.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
a.go,button{display:inline-block;margin-top:.75rem;padding:.65rem 1.2rem;border:0;border-radius:9px;background:var(--accent);
color:var(--card);font:600 1rem/1.2 inherit;font-family:inherit;text-decoration:none;cursor:pointer}
a.go:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid color-mix(in srgb,var(--accent) 45%,transparent);
outline-offset:2px}
label{display:block;margin-top:1.25rem;font-size:.9rem}
input{width:100%;margin-top:.35rem;padding:.6rem .75rem;border:1px solid var(--line);border-radius:9px;background:var(--page);
color:var(--ink);font:inherit}
.wrong{margin-top:.6rem;color:#b3261e}
@media (prefers-color-scheme:dark){.wrong{color:#ff9d94}}
"""
_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self' http: https:; frame-ancestors 'none'; base-uri 'none'"
HEADERS: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"private, no-store"),
    (b"content-security-policy", _POLICY.encode()),
    (b"x-robots-tag", b"noindex"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""Of every page."""


class Reason(NamedTuple):
    """Why a visit ends at a page."""

    status: int
    code: str
    title: str
    sentence: str


MISSING: Final = Reason(404, "link_not_found", "This link does not exist", "Check the address: capitals count.")
INACTIVE: Final = Reason(410, "link_inactive", "This link is switched off", "Whoever made it has switched it off.")
NOT_YET: Final = Reason(404, "link_not_yet_valid", "This link is not open yet", "Come back a little later.")
EXPIRED: Final = Reason(410, "link_expired", "This link has expired", "What it led to is over.")
USED_UP: Final = Reason(
    410, "link_used_up", "This link has been used up", "It could be followed a limited number of times."
)
BUSY: Final = Reason(503, "unavailable", "This link can't be looked up right now", "Try again in a moment.")
TOO_OFTEN: Final = Reason(429, "rate_limited", "Too many attempts", "Wait a minute, then try again.")


def reason_page(reason: Reason) -> bytes:
    """Return the page that says why a visit ends here."""
    return _page(reason.title, f"<h1>{escape(reason.title)}</h1><p>{escape(reason.sentence)}</p>")


def preview_page(short: str, target_url: str, *, title: str | None, created_at: datetime | None, go: str) -> bytes:
    """Return the page that shows where a link leads; `go` is the path of the link itself."""
    host = urlsplit(target_url).hostname or target_url
    since = "" if created_at is None else f"<div><dt>Made on</dt><dd>{created_at:%-d %B %Y}</dd></div>"
    body = (
        f"<h1>{escape(title or f'A link to {host}')}</h1><p>You have not left yet. This is where the link leads.</p>"
        f"<dl><div><dt>Site</dt><dd><strong>{escape(host)}</strong></dd></div>"
        f"<div><dt>Full address</dt><dd><code>{escape(target_url)}</code></dd></div>"
        f"<div><dt>Short address</dt><dd><code>{escape(short)}</code></dd></div>{since}</dl>"
        f'<a class="go" href="{escape(go)}" rel="noreferrer">Continue to {escape(host)}</a>'
    )
    return _page(f"Preview of {short}", body)


def password_page(path: str, *, wrong: bool) -> bytes:
    """Return the form that asks for a link's password."""
    told = '<p class="wrong" role="alert">That is not the password. Try again.</p>' if wrong else ""
    body = (
        "<h1>This link needs a password</h1><p>Whoever gave you the link can tell you.</p>"
        f'<form method="post" action="{escape(path)}"><label>Password'
        '<input type="password" name="password" required autofocus autocomplete="off" maxlength="200"></label>'
        f"{told}<button>Continue</button></form>"
    )
    return _page("Password needed", body)


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    ).encode()
