"""Reads user agents: device, operating system, browser, and whether a program is at work. Pure.

Bots are those of the crawler-user-agents list, matched as that library's documentation says: a case-sensitive search
of its patterns anywhere in the text. A bot is labelled with the pattern that matched, never dropped. Names of systems
and browsers are those of ua-parser (uap-core).
"""

import re
from functools import cache, lru_cache
from typing import Final, NamedTuple

from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from ua_parser import BasicResolver, Domain, Parser, load_lazy_builtins

from mainstem.platform.web.text import clean

MAX_AGENT_CHARACTERS: Final = 512
_CACHED: Final = 8_192
_GROUP: Final = 25
_DESKTOP_SYSTEMS: Final = frozenset(
    "Windows|Mac OS X|Mac OS|Linux|Ubuntu|Debian|Fedora|Red Hat|SUSE|Gentoo|Mint|CentOS|Arch Linux|Slackware|Kubuntu"
    "|Mandriva|PCLinuxOS|FreeBSD|OpenBSD|NetBSD|DragonFly BSD|Solaris|Chrome OS|BeOS|Puppy".split("|")
)
_MOBILE_SYSTEMS: Final = frozenset(
    "iOS|Windows Phone|Windows Mobile|BlackBerry OS|Symbian OS|Symbian^3|Firefox OS|KaiOS|Bada|MeeGo|Maemo|webOS".split(
        "|"
    )
)
_TABLET: Final = re.compile(r"iPad|Tablet|PlayBook|Kindle|Silk/(?!.*Mobile)|\bKF[A-Z]{2,4}\b", re.IGNORECASE)
_TELEVISION: Final = re.compile(
    r"TV\b|SmartTV|SMART-TV|BRAVIA|CrKey|Roku|AFT[A-Z]|PlayStation|Xbox|Nintendo", re.IGNORECASE
)


class Agent(NamedTuple):
    """What a user agent tells."""

    device: str
    """desktop, mobile, tablet, bot, other or unknown."""
    os: str | None
    browser: str | None
    is_bot: bool
    bot_reason: str | None
    """The pattern of the crawler-user-agents list that matched."""


UNKNOWN: Final = Agent("unknown", None, None, is_bot=False, bot_reason=None)


@lru_cache(maxsize=_CACHED)
def agent_of(text: str | None) -> Agent:
    """Return what a user agent tells; `unknown` when there is none."""
    agent = clean(text).strip()[:MAX_AGENT_CHARACTERS] if text else ""
    if not agent:
        return UNKNOWN
    found = _parser()(agent, Domain.USER_AGENT | Domain.OS)
    browser = found.user_agent.family if found.user_agent else None
    system = found.os.family if found.os else None
    reason = bot_reason(agent)
    if reason is not None:
        return Agent("bot", system, browser, is_bot=True, bot_reason=reason)
    return Agent(_device(agent, system), system, browser, is_bot=False, bot_reason=None)


def bot_reason(agent: str) -> str | None:
    """Return the first pattern of the crawler list that a user agent matches, None for people's browsers."""
    for patterns, any_of_them in _crawlers():
        if any_of_them.search(agent):
            return next(pattern for pattern in patterns if re.search(pattern, agent))
    return None


def _device(agent: str, system: str | None) -> str:
    if _TELEVISION.search(agent):
        return "other"
    if _TABLET.search(agent):
        return "tablet"
    if system == "Android":
        return "mobile" if "Mobile" in agent else "tablet"
    if system in _MOBILE_SYSTEMS:
        return "mobile"
    return "desktop" if system in _DESKTOP_SYSTEMS else "other"


@cache
def _crawlers() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    patterns = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]
    # by groups: to say which pattern matched, only the patterns of one group are compiled alone
    groups = [tuple(patterns[start : start + _GROUP]) for start in range(0, len(patterns), _GROUP)]
    return tuple((group, re.compile("|".join(group))) for group in groups)


@cache
def _parser() -> Parser:
    # without a cache of its own: agent_of is the cache
    return Parser(BasicResolver(load_lazy_builtins()))
