"""Slugs: which are allowed, which are reserved, and how one is made up. Pure but for the dice."""

import re
import secrets
import unicodedata
from typing import Final

ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
"""Letters and digits without those that look alike (0 O, 1 I l, o)."""
LENGTH: Final = 7
"""Letters of a slug that is made up: 56⁷ of them, so that even a million links leave a new one nearly always free."""
MAX_CHARACTERS: Final = 100
RESERVED: Final = frozenset(
    (
        *("api", "health", "metrics", "docs", "redoc", "openapi.json", "mcp", "webhook", "webhooks", "ws", "track"),
        *(
            "t.js",
            "assets",
            "static",
            "console",
            "app",
            "login",
            "logout",
            "signin",
            "signup",
            "settings",
            "admin",
            "oauth",
        ),
        *("dashboard", "robots.txt", "favicon.ico", ".well-known"),
    )
)
"""First parts of paths that belong to the product; no slug begins with one of them."""
_SLUG: Final = re.compile(r"[\w~.-]+(?:/[\w~.-]+)*")
_DOTS: Final = frozenset((".", ".."))


def normalized(text: str) -> str:
    """Return a slug as it is stored: in Unicode's composed form (NFC), so that one that looks the same is the same."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_reserved(path: str) -> bool:
    """Tell whether a path (without its first slash) is one of the product's own."""
    return path.partition("/")[0].lower() in RESERVED


def fault_of(slug: str) -> str | None:
    """Return why a normalized slug can't be used, as a sentence, or None when it can."""
    if not 1 <= len(slug) <= MAX_CHARACTERS:
        return f"A slug has 1 to {MAX_CHARACTERS} characters."
    if not _SLUG.fullmatch(slug) or not _DOTS.isdisjoint(slug.split("/")):
        return "A slug has letters, digits and . _ ~ - in parts that single slashes part."
    if is_reserved(slug):
        return f"{slug.partition('/')[0]} is an address of the product itself."
    return None


def made_up() -> str:
    """Return a new random slug."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
