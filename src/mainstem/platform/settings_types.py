"""The types of settings: how each kind of value is written, and what is refused."""

import base64
import ipaddress
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from mainstem.platform.smtp import is_address, server_of


class Environment(StrEnum):
    """Where this runs; production refuses weak secrets and debug."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    TEST = "test"


class LogFormat(StrEnum):
    """How log lines look; `auto` is pretty on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


class IpMode(StrEnum):
    """What is kept of a client's address."""

    TRUNCATE = "truncate"
    SALT = "salt"
    KEEP = "keep"
    DROP = "drop"


class SignUp(StrEnum):
    """Who may make an account."""

    CLOSED = "closed"
    INVITED = "invited"
    OPEN = "open"


class SaltRotation(StrEnum):
    """How long a cookieless visitor key stays the same."""

    DAILY = "daily"
    NEVER = "never"


_SHORT_ENVIRONMENTS = {"prod": "production", "dev": "development", "stage": "staging", "testing": "test"}
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _split(value: Any) -> Any:  # noqa: ANN401 - whatever a caller or the environment gave
    if not isinstance(value, str):
        return value
    return [part.strip().strip("\"'") for part in value.strip().strip("[]").split(",") if part.strip()]


def _lower(value: Any) -> Any:  # noqa: ANN401
    return value.strip().lower() if isinstance(value, str) and not isinstance(value, StrEnum) else value


def _environment(value: Any) -> Any:  # noqa: ANN401
    lower = _lower(value)
    return _SHORT_ENVIRONMENTS.get(lower, lower)


def _log_level(value: str) -> str:
    level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(value.strip().upper(), value.strip().upper())
    if level not in _LOG_LEVELS:
        msg = f"must be one of {', '.join(_LOG_LEVELS)}"
        raise ValueError(msg)
    return level


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = "must be an IANA time zone such as Europe/Berlin"
        raise ValueError(msg) from error
    return value


def _optional_zone(value: str | None) -> str | None:
    return None if value is None else _time_zone(value)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError as error:
        msg = f"must list networks such as 10.0.0.0/8; {value!r} is none"
        raise ValueError(msg) from error


def _origin(value: str) -> str:
    if value == "*":
        return value
    parts = urlsplit(value.rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
        msg = f"must list origins such as https://app.example.com; {value!r} is none"
        raise ValueError(msg)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _base_url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value.rstrip("/"))
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        msg = f"must be an address such as https://go.example.com; {value!r} is none"
        raise ValueError(msg)
    return value.rstrip("/")


def _smtp(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        server_of(value.get_secret_value())
    return value


def _sender(value: str | None) -> str | None:
    if value is not None and not is_address(parseaddr(value)[1]):
        msg = "must be an address such as alerts@example.com, or Mainstem <alerts@example.com>"
        raise ValueError(msg)
    return value


def _address(value: str) -> str:
    if not is_address(value):
        msg = f"must list addresses such as ops@example.com; {value!r} is none"
        raise ValueError(msg)
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        msg = "must be an address such as redis://host:6379/0"
        try:
            parts = urlsplit(value.get_secret_value())
            known = parts.scheme in {"redis", "rediss", "unix"} and parts.port != 0
        except ValueError:
            raise ValueError(msg) from None
        if not known or not (parts.path if parts.scheme == "unix" else parts.hostname):
            raise ValueError(msg)
    return value


def _expanded(value: Path | None) -> Path | None:
    return None if value is None else value.expanduser()


def _named(value: str) -> str:
    if not any(character.isascii() and character.isalnum() for character in value):
        msg = f"must list names of JSON members such as first_name; {value!r} has no letter (a to z)"
        raise ValueError(msg)
    return value


def _key_of_32_bytes(value: SecretStr) -> SecretStr:
    key_bytes(value.get_secret_value())
    return value


def key_bytes(text: str) -> bytes:
    """Return a key of 32 bytes written as 64 hexadecimal digits or as base64. Raises ValueError."""
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == _KEY_DIGITS else base64.b64decode(text.translate(_URL_SAFE) + "==")
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        msg = "must be 32 random bytes, as base64 or hexadecimal: openssl rand -base64 32"
        raise ValueError(msg)
    return key


_KEY_BYTES = 32
_KEY_DIGITS = 64
_URL_SAFE = str.maketrans("-_", "+/")
Key = Annotated[SecretStr, AfterValidator(_key_of_32_bytes)]
Keys = Annotated[list[Key], NoDecode, BeforeValidator(_split)]
PiiNames = Annotated[list[Annotated[str, AfterValidator(_named)]], NoDecode, BeforeValidator(_split)]
Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Methods = Annotated[list[Annotated[str, AfterValidator(str.upper)]], NoDecode, BeforeValidator(_split)]
Networks = Annotated[list[Annotated[str, AfterValidator(_network)]], NoDecode, BeforeValidator(_split)]
Addresses = Annotated[list[Annotated[str, AfterValidator(_address)]], NoDecode, BeforeValidator(_split)]
Origins = Annotated[list[Annotated[str, AfterValidator(_origin)]], NoDecode, BeforeValidator(_split)]
EnvironmentName = Annotated[Environment, BeforeValidator(_environment)]
Zone = Annotated[str, AfterValidator(_time_zone)]
LogLevel = Annotated[str, AfterValidator(_log_level)]
LogFormatName = Annotated[LogFormat, BeforeValidator(_lower)]
OptionalPath = Annotated[Path | None, AfterValidator(_expanded)]
IpModeName = Annotated[IpMode, BeforeValidator(_lower)]
SignUpName = Annotated[SignUp, BeforeValidator(_lower)]
SaltRotationName = Annotated[SaltRotation, BeforeValidator(_lower)]
OptionalUrl = Annotated[str | None, AfterValidator(_base_url)]
RedisUrl = Annotated[SecretStr | None, AfterValidator(_redis_url)]
SmtpUrl = Annotated[SecretStr | None, AfterValidator(_smtp)]
Sender = Annotated[str | None, AfterValidator(_sender)]
OptionalZone = Annotated[str | None, AfterValidator(_optional_zone)]
