"""Redirect rules: which of a link's other targets a visit goes to. Pure.

A rule has a target and conditions, all of which must hold; the first rule that applies decides. The eleven types of
conditions and their meaning are Shlink's (its documentation, "Dynamic redirects").
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from mainstem.events.receive import RefusedError, parse_time
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.agents import Agent

MAX_RULES: Final = 50
MAX_CONDITIONS: Final = 20
_MAX_CHARACTERS: Final = 500
_WILDCARD: Final = re.compile(r"(?:(?:\d{1,3}|\*)\.){3}(?:\d{1,3}|\*)")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{2,8})*")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")


class ConditionType(StrEnum):
    """What a condition looks at."""

    DEVICE = "device"
    LANGUAGE = "language"
    QUERY_PARAM = "query-param"
    ANY_VALUE_QUERY_PARAM = "any-value-query-param"
    VALUELESS_QUERY_PARAM = "valueless-query-param"
    IP_ADDRESS = "ip-address"
    COUNTRY = "geolocation-country-code"
    CITY = "geolocation-city-name"
    BEFORE_DATE = "before-date"
    AFTER_DATE = "after-date"
    BROWSER = "browser"


DEVICES: Final = ("android", "ios", "mobile", "tablet", "desktop", "windows", "macos", "linux", "chromeos")
BROWSERS: Final = ("chrome", "firefox", "safari", "edge", "opera", "samsung", "brave", "vivaldi")
_SYSTEMS: Final = {
    "android": ("Android",),
    "ios": ("iOS",),
    "windows": ("Windows",),
    "macos": ("Mac OS X", "Mac OS"),
    "linux": ("Linux", "Ubuntu", "Debian", "Fedora"),
    "chromeos": ("Chrome OS",),
}
_KEYED: Final = frozenset(
    (ConditionType.QUERY_PARAM, ConditionType.ANY_VALUE_QUERY_PARAM, ConditionType.VALUELESS_QUERY_PARAM)
)
_UNVALUED: Final = frozenset((ConditionType.ANY_VALUE_QUERY_PARAM, ConditionType.VALUELESS_QUERY_PARAM))
_WHAT: Final = {
    ConditionType.DEVICE: f"one of {', '.join(DEVICES)}",
    ConditionType.LANGUAGE: "a language such as de or de-AT",
    ConditionType.QUERY_PARAM: "the value of the parameter",
    ConditionType.IP_ADDRESS: "an address, a network (CIDR) or an IPv4 address with * for some of its numbers",
    ConditionType.COUNTRY: "a country of two letters (ISO 3166-1)",
    ConditionType.CITY: "the English name of a city",
    ConditionType.BEFORE_DATE: "an ISO 8601 time",
    ConditionType.AFTER_DATE: "an ISO 8601 time",
    ConditionType.BROWSER: f"one of {', '.join(BROWSERS)}",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `value` is as it was given."""

    type: ConditionType
    value: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where to go when all conditions hold."""

    target_url: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is known of a visit."""

    now: datetime
    agent: Agent
    languages: tuple[str, ...] = ()
    """Of Accept-Language, in the order of the browser's preference."""
    query: tuple[tuple[str, str], ...] = ()
    ip: str | None = None
    country: str | None = None
    city: str | None = None


def parse_rules(rules: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules as they are kept; targets are not looked at. Raises InvalidFieldError with the field."""
    if len(rules) > MAX_RULES:
        raise InvalidFieldError(f"A link has at most {MAX_RULES} rules.", field="rules")
    return tuple(_rule(rule, f"rules[{number}]") for number, rule in enumerate(rules))


def as_json(rules: Sequence[Rule]) -> list[dict[str, object]]:
    """Return the rules as `parse_rules` takes them."""
    return [
        {
            "target_url": rule.target_url,
            "conditions": [
                {"type": str(one.type)}
                | ({"key": one.key} if one.type in _KEYED else {})
                | ({} if one.type in _UNVALUED else {"value": one.value})
                for one in rule.conditions
            ],
        }
        for rule in rules
    ]


def decide(rules: Sequence[Rule], visit: Visit) -> int | None:
    """Return the place (from 0) of the first rule whose conditions all hold, None when there is none."""
    return next(
        (number for number, rule in enumerate(rules) if all(holds(condition, visit) for condition in rule.conditions)),
        None,
    )


def holds(condition: Condition, visit: Visit) -> bool:
    """Tell whether a condition holds for a visit; one that can't be known does not."""
    return _TESTS[condition.type](condition, visit)


def languages_of(accept_language: str | None) -> tuple[str, ...]:
    """Return the languages of an Accept-Language header, best first, without those that are refused (q=0)."""
    if not accept_language:
        return ()
    found: list[tuple[float, str]] = []
    for part in accept_language[:_MAX_CHARACTERS].split(","):
        name, _, weight = part.strip().partition(";")
        quality = _quality(weight)
        if quality > 0 and _LANGUAGE.fullmatch(name.strip()):
            found.append((-quality, name.strip()))
    found.sort(key=lambda one: one[0])
    return tuple(name for _, name in found)


def _quality(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _rule(rule: Mapping[str, Any], field: str) -> Rule:
    target, conditions = rule.get("target_url"), rule.get("conditions")
    if not isinstance(target, str) or not target:
        raise InvalidFieldError("A rule needs a target_url.", field=f"{field}.target_url")
    if not isinstance(conditions, list) or not 1 <= len(conditions) <= MAX_CONDITIONS:
        raise InvalidFieldError(f"A rule has 1 to {MAX_CONDITIONS} conditions.", field=f"{field}.conditions")
    return Rule(target, tuple(_condition(one, f"{field}.conditions[{n}]") for n, one in enumerate(conditions)))


def _condition(given: object, field: str) -> Condition:
    fields = given if isinstance(given, Mapping) else {}
    try:
        type_ = ConditionType(fields.get("type", ""))
    except ValueError:
        raise InvalidFieldError(f"type must be one of {', '.join(ConditionType)}.", field=f"{field}.type") from None
    key, value = fields.get("key") or "", fields.get("value") or ""
    if type_ in _KEYED and (not isinstance(key, str) or not 1 <= len(key) <= _MAX_CHARACTERS):
        raise InvalidFieldError("key must be the name of a parameter.", field=f"{field}.key")
    if type_ in _UNVALUED:
        return Condition(type_, key=key)
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_CHARACTERS or not _VALID.get(type_, bool)(value):
        raise InvalidFieldError(f"value must be {_WHAT[type_]}.", field=f"{field}.value")
    return Condition(type_, value, key if type_ in _KEYED else "")


def _network(value: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network | re.Pattern[str] | None":
    if "*" in value:
        return re.compile(re.escape(value).replace(r"\*", r"\d+")) if _WILDCARD.fullmatch(value) else None
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _time(value: str) -> datetime | None:
    try:
        return parse_time(value, "value")
    except RefusedError:
        return None


def _device(condition: Condition, visit: Visit) -> bool:
    wanted = condition.value.lower()
    if wanted in {"mobile", "tablet", "desktop"}:
        return visit.agent.device == wanted
    return visit.agent.os in _SYSTEMS[wanted]


def _browser(condition: Condition, visit: Visit) -> bool:
    return condition.value.lower() in (visit.agent.browser or "").lower()


def _language(condition: Condition, visit: Visit) -> bool:
    wanted = condition.value.lower().replace("_", "-")
    accepted = (name.lower().replace("_", "-") for name in visit.languages)
    # a language without a country means it in every country
    return any(name == wanted or ("-" not in wanted and name.startswith(wanted + "-")) for name in accepted)


def _address(condition: Condition, visit: Visit) -> bool:
    network = _network(condition.value)
    if visit.ip is None or network is None:
        return False
    if isinstance(network, re.Pattern):
        return network.fullmatch(visit.ip) is not None
    try:
        address = ipaddress.ip_address(visit.ip)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _before(condition: Condition, visit: Visit) -> bool:
    moment = _time(condition.value)
    return moment is not None and visit.now.astimezone(UTC) < moment


def _after(condition: Condition, visit: Visit) -> bool:
    moment = _time(condition.value)
    return moment is not None and visit.now.astimezone(UTC) >= moment


_VALID: Final[dict[ConditionType, Callable[[str], bool]]] = {
    ConditionType.DEVICE: lambda value: value.lower() in DEVICES,
    ConditionType.BROWSER: lambda value: value.lower() in BROWSERS,
    ConditionType.LANGUAGE: lambda value: _LANGUAGE.fullmatch(value) is not None,
    ConditionType.COUNTRY: lambda value: _COUNTRY.fullmatch(value) is not None,
    ConditionType.IP_ADDRESS: lambda value: _network(value) is not None,
    ConditionType.BEFORE_DATE: lambda value: _time(value) is not None,
    ConditionType.AFTER_DATE: lambda value: _time(value) is not None,
}
_TESTS: Final[dict[ConditionType, Callable[[Condition, Visit], bool]]] = {
    ConditionType.DEVICE: _device,
    ConditionType.BROWSER: _browser,
    ConditionType.LANGUAGE: _language,
    ConditionType.QUERY_PARAM: lambda one, visit: (one.key, one.value) in visit.query,
    ConditionType.ANY_VALUE_QUERY_PARAM: lambda one, visit: any(name == one.key for name, _ in visit.query),
    ConditionType.VALUELESS_QUERY_PARAM: lambda one, visit: (one.key, "") in visit.query,
    ConditionType.IP_ADDRESS: _address,
    ConditionType.COUNTRY: lambda one, visit: one.value.upper() == (visit.country or "").upper(),
    ConditionType.CITY: lambda one, visit: one.value.casefold() == (visit.city or "").casefold(),
    ConditionType.BEFORE_DATE: _before,
    ConditionType.AFTER_DATE: _after,
}
