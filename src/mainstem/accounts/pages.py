"""The pages behind mailed links: a form whose secret comes from behind the `#` of the address, and what became of it.

Opening a page changes nothing, for programs that look at mails open links, too. The secret is in no request but the one
that the form sends, so no server, proxy or referrer sees it. Without scripts it can be pasted.
"""

import base64
import hashlib
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:10vh auto;max-width:26rem;padding:0 1rem;color:#1c2733;background:#fff}"
    "h1{font-size:1.6rem;line-height:1.25}"
    "label{display:block;margin:1rem 0 .25rem}input{box-sizing:border-box;width:100%;padding:.5rem;font:inherit;"
    "border:1px solid #8a97a5;border-radius:4px}button{margin-top:1.5rem;padding:.5rem 1.25rem;font:inherit;"
    "border:0;border-radius:4px;background:#0b5cad;color:#fff}.wrong{color:#a3161a}"
    "@media(prefers-color-scheme:dark){body{color:#e3e9ef;background:#12181f}input{background:#1c2733;color:inherit}"
    ".wrong{color:#ff9c9c}}"
)
_SCRIPT: Final = (
    "const t=location.hash.slice(1);"
    "if(t){document.forms[0].elements.token.value=t;document.getElementById('code').hidden=true;"
    "history.replaceState(null,'',location.pathname)}"
)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_CODE: Final = (
    '<div id="code"><label for="token">Code: what follows the # in the link of the mail</label>'
    '<input id="token" name="token" required autocomplete="off" spellcheck="false"></div>'
)
_NAME: Final = '<label for="name">Your name</label><input id="name" name="name" maxlength="200" autocomplete="name">'
_CHOICE: Final = (
    '<label for="password">New password, at least 8 characters</label>'
    '<input id="password" name="password" type="password" required minlength="8" maxlength="1024" '
    'autocomplete="new-password">'
)


def verify_form(*, wrong: str = "", status: int = 200) -> HTMLResponse:
    """Return the page that confirms an e-mail."""
    return _form("Confirm your e-mail address", "Confirm", "", wrong, status)


def reset_form(*, wrong: str = "", status: int = 200) -> HTMLResponse:
    """Return the page that asks for a new password."""
    return _form("Choose a new password", "Set password", _CHOICE, wrong, status)


def invitation_form(*, wrong: str = "", status: int = 200) -> HTMLResponse:
    """Return the page that asks a new user for name and password."""
    return _form("Welcome", "Make my account", _NAME + _CHOICE, wrong, status)


def done(title: str, text: str, *, status: int = 200) -> HTMLResponse:
    """Return a page that says what was done."""
    return _page(title, f"<p>{escape(text)}</p>", status)


def _form(title: str, action: str, fields: str, wrong: str, status: int) -> HTMLResponse:
    told = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    body = f'{told}<form method="post">{_CODE}{fields}<button>{escape(action)}</button></form>'
    return _page(title, f"{body}<script>{_SCRIPT}</script>", status)


def _page(title: str, body: str, status: int) -> HTMLResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, headers=_HEADERS)
