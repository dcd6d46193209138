"""The fields of the settings, by section: meaning, bounds, unit and default of each.

A section is a class; its docstring is the heading of the reference page, its fields the rows of the table.
`mainstem.platform.settings` puts them together and reads them.
"""

import base64
import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode


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
Origins = Annotated[list[Annotated[str, AfterValidator(_origin)]], NoDecode, BeforeValidator(_split)]


class WhereItRuns(BaseModel):
    """Where it runs."""

    environment: Annotated[Environment, BeforeValidator(_environment)] = Field(
        default=Environment.DEVELOPMENT,
        validation_alias=AliasChoices("ENVIRONMENT", "ENV"),
        description="Where this runs; production refuses weak secrets and DEBUG.",
    )
    debug: bool = Field(default=False, description="Show details of internal errors; refused in production.")
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default=Path("data"),
        validation_alias=AliasChoices("MAINSTEM_DATA_DIR", "DATA_DIR"),
        description="Folder of the embedded database, the spool and the generated secrets.",
    )
    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="UTC", description="IANA time zone used where a person reads times in mails and reports."
    )


class Database(BaseModel):
    """Database."""

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "SYSTEM_DATABASE_URL"),
        description="PostgreSQL 15 or newer; when absent (and no PGHOST), the embedded PostgreSQL is used.",
    )
    pghost: str | None = Field(
        default=None,
        description="PostgreSQL host or socket folder, as libpq reads it; used when DATABASE_URL is absent.",
    )
    pgport: int = Field(default=5432, ge=1, le=65535, description="PostgreSQL port, as libpq reads it.")
    pgdatabase: str = Field(default="mainstem", description="PostgreSQL database, as libpq reads it.")
    pguser: str = Field(default="postgres", description="PostgreSQL user, as libpq reads it.")
    pgpassword: SecretStr | None = Field(default=None, description="PostgreSQL password, as libpq reads it.")
    database_pool_size: int = Field(
        default=20, ge=2, le=500, description="Connections a process keeps at most in normal use."
    )
    database_max_overflow: int = Field(
        default=40, ge=0, le=500, description="Connections above the pool size that may be opened under load."
    )


class Http(BaseModel):
    """HTTP."""

    api_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    api_port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_workers: int = Field(default=1, ge=1, le=64, description="Processes of `mainstem serve`.")
    cors_origins: Origins = Field(
        default_factory=list,
        validation_alias=AliasChoices("CORS_ORIGINS", "ALLOWED_ORIGINS"),
        description="Origins, comma-separated, that browsers may call the API from.",
    )
    cors_allow_credentials: bool = Field(
        default=False, description="Let browsers send cookies across origins; refused together with the origin `*`."
    )
    cors_allow_methods: Methods = Field(
        default_factory=lambda: ["GET", "POST", "PUT", "PATCH", "DELETE"],
        description="Methods browsers may use across origins.",
    )
    trusted_proxies: Networks = Field(
        default_factory=list, description="Networks (CIDR, comma-separated) whose X-Forwarded-For is believed."
    )
    metrics_enabled: bool = Field(default=True, description="Serve /metrics for Prometheus.")
    health_check_interval_seconds: int = Field(
        default=30, ge=1, le=3600, description="Seconds between background health checks."
    )


class Logs(BaseModel):
    """Logs."""

    log_level: Annotated[str, AfterValidator(_log_level)] = Field(
        default="INFO",
        validation_alias=AliasChoices("LOG_LEVEL", "API_LOG_LEVEL"),
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default=LogFormat.AUTO, description="json, pretty, or auto (pretty on a terminal)."
    )
    sentry_dsn: SecretStr | None = Field(default=None, description="Send errors to this Sentry project.")


class SecretsAndSignIn(BaseModel):
    """Secrets and sign-in."""

    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs tokens and salts visitor keys; at least 32 random characters. "
        "Made and kept in the data folder when absent outside production.",
    )
    jwt_algorithm: str = Field(default="HS256", pattern="^HS256$", description="The one algorithm of issued tokens.")
    jwt_expiration_hours: int = Field(default=24, ge=1, le=24 * 90, description="Hours an issued token is valid.")
    better_auth_secret: SecretStr | None = Field(
        default=None, description="Shared secret of Better Auth tokens (HS256), read only with BETTER_AUTH_LEGACY=true."
    )
    better_auth_legacy: bool = Field(
        default=False, description="Accept Better Auth tokens signed with the shared secret."
    )
    better_auth_jwks_url: str | None = Field(
        default=None, description="JWKS address of a Better Auth server whose tokens are accepted."
    )
    better_auth_issuer: str | None = Field(default=None, description="Required issuer of Better Auth tokens.")
    better_auth_audience: str | None = Field(default=None, description="Required audience of Better Auth tokens.")
    webhook_api_key: SecretStr | None = Field(
        default=None, description="An ingest key of the default tenant, for clients of the tracking-ingest system."
    )
    default_tenant: str = Field(
        default="default", description="Tenant of WEBHOOK_API_KEY, sign-ups and the Tripleseat webhook."
    )


class Limits(BaseModel):
    """Limits."""

    rate_limit_requests: int = Field(
        default=100, ge=1, description="Management requests per window and per user or key."
    )
    rate_limit_window_seconds: int = Field(default=60, ge=1, le=3600, description="Seconds of a rate-limit window.")
    ingest_rate_limit_events: int = Field(default=10_000_000, ge=1, description="Events per window and per key.")
    public_key_rate_limit_events: int = Field(
        default=600, ge=1, description="Events per window and per client address through a public key."
    )
    max_body_bytes: int = Field(
        default=5_000_000, ge=1_000, description="Largest request body, after decompression too (bytes)."
    )
    max_events_per_request: int = Field(default=1_000, ge=1, le=10_000, description="Most events in one request.")
    max_event_bytes: int = Field(default=65_536, ge=1_000, description="Largest single event (bytes).")


class IntakeAndLoader(BaseModel):
    """Intake, loader, retention."""

    spool_max_mb: int = Field(
        default=1_024, ge=1, description="Most megabytes of events kept in the local spool while PostgreSQL is away."
    )
    intake_commit_timeout_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Seconds a group commit may take before its events go to the spool."
    )
    loader_lanes: int = Field(
        default=1, ge=1, le=64, description="Loader lanes; a tenant belongs to lane tenant_id modulo lanes."
    )
    sync_wait_seconds: float = Field(
        default=2.0,
        ge=0,
        le=30,
        description="Longest wait of a synchronous /track for its load before it answers queued.",
    )
    vault_model: Path | None = Field(
        default=None,
        description="Your own vault model, a YAML or Python file; without it vault.yaml or vault.py in the data folder.",
    )
    raw_retention_days: int = Field(
        default=90, ge=1, description="Days that raw events are kept before they go to the archive, or are dropped."
    )
    archive_enabled: bool = Field(
        default=True,
        description="Keep raw events past their retention as Parquet files; false drops them for good.",
    )
    archive_dir: Annotated[Path | None, AfterValidator(_expanded)] = Field(
        default=None,
        description="Folder of the archive, the same for every process that works; `archive` in the data folder when absent.",
    )
    future_tolerance_seconds: int = Field(
        default=300,
        ge=0,
        description="How far ahead a sender's clock may be before occurred_at is corrected (seconds).",
    )


PII_FIELDS = (
    *("email", "e_mail", "email_address", "mail_address", "customer_email", "contact_email", "billing_email"),
    *(
        "phone",
        "phone_number",
        "telephone",
        "mobile",
        "mobile_phone",
        "mobile_number",
        "contact_phone",
        "customer_phone",
    ),
    *(
        "first_name",
        "firstname",
        "last_name",
        "lastname",
        "surname",
        "full_name",
        "fullname",
        "given_name",
        "family_name",
    ),
    *("customer_name", "contact_name", "guest_name", "billing_name"),
    *("street", "street_address", "address_line", "address_line1", "address_line2", "address_line_1", "address_line_2"),
    *("postal_address", "billing_address", "shipping_address", "home_address"),
    *("date_of_birth", "birth_date", "birthdate", "birthday"),
)


class Privacy(BaseModel):
    """Privacy and the browser tracker."""

    ip_mode: Annotated[IpMode, BeforeValidator(_lower)] = Field(
        default=IpMode.TRUNCATE, description="truncate (/24 or /48), salt (keyed hash), keep or drop client addresses."
    )
    visitor_salt_rotation: Annotated[SaltRotation, BeforeValidator(_lower)] = Field(
        default=SaltRotation.DAILY, description="How long a cookieless visitor key stays the same: daily or never."
    )
    tracker_respect_dnt: bool = Field(
        default=True,
        description="The browser tracker sends nothing when Do-Not-Track or Global Privacy Control is on.",
    )
    pii_fields: PiiNames = Field(
        default_factory=lambda: list(PII_FIELDS),
        description="Names of JSON members that hold personal data, comma-separated: their values are sealed before they "
        "are stored. first_name also means firstName, FirstName, FIRST_NAME, first-name and `first name`.",
    )
    pii_key: Key | None = Field(
        default=None,
        description="Wraps the data keys of people: 32 random bytes, as base64 or hexadecimal. Derived from SECRET_KEY "
        "when absent. Without it, personal data can't be read again.",
    )
    pii_key_previous: Keys = Field(
        default_factory=list,
        description="Earlier values of PII_KEY, comma-separated, until `mainstem subject rewrap` is done.",
    )


class Links(BaseModel):
    """Links."""

    public_url: Annotated[str | None, AfterValidator(_base_url)] = Field(
        default=None,
        description="Address of the hub as visitors reach it, such as https://go.example.com; short addresses begin with it. "
        "That of the request when absent.",
    )
    link_cache_size: int = Field(
        default=100_000, ge=100, le=10_000_000, description="Links that a process keeps in memory, about 1 KB each."
    )
    link_cache_ttl_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="Seconds after which a kept link is looked up again; edits are known at once.",
    )
    link_wait_ms: int = Field(
        default=250,
        ge=0,
        le=10_000,
        description="Longest time that a visitor waits for the click to be durable (milliseconds). A link that is not in "
        "memory may take that long to look up, and at least a second.",
    )
    link_schemes: Names = Field(
        default_factory=lambda: ["http", "https"],
        description="Schemes that targets may have, comma-separated; add mailto, tel or those of your apps. "
        "javascript, data and the like are always refused.",
    )
    missed_visits_per_minute: int = Field(
        default=6_000,
        ge=0,
        description="Visits of unknown addresses that a process records each minute; others are only counted.",
    )
    geoip_file: Annotated[Path | None, AfterValidator(_expanded)] = Field(
        default=None,
        description="MaxMind database (.mmdb, city or country) by which clicks get their country and city.",
    )


class Cache(BaseModel):
    """Cache (accepted; nothing reads these yet)."""

    cache_enabled: bool = Field(default=True, description="Use the in-process cache.")
    cache_ttl_seconds: int = Field(default=60, ge=1, description="Seconds an entry of the cache lives.")
    cache_max_size: int = Field(default=10_000, ge=1, description="Most entries of the in-process cache.")
    redis_url: SecretStr | None = Field(default=None, description="Optional second cache level.")


class Mail(BaseModel):
    """Mail (accepted; nothing reads these yet)."""

    smtp_url: SecretStr | None = Field(default=None, description="smtp://user:password@host:port, or smtps://.")
    mail_from: str | None = Field(default=None, description="Sender of mails.")
    mail_to: Names = Field(default_factory=list, description="Receivers of operator mails, comma-separated.")


class Assistant(BaseModel):
    """Assistant (accepted; nothing reads these yet)."""

    openai_api_key: SecretStr | None = Field(
        default=None, description="Key of an OpenAI-compatible endpoint; without it the local model answers."
    )
    openai_model: str = Field(default="gpt-4o-mini", description="Model name at that endpoint.")
    openai_base_url: str | None = Field(default=None, description="Address of an OpenAI-compatible endpoint.")
    mcp_server_host: str = Field(default="127.0.0.1", description="Address of the MCP server.")
    mcp_server_port: int = Field(default=5555, ge=0, le=65535, description="Port of the MCP server.")


class Connectors(BaseModel):
    """Connectors (accepted; nothing reads these yet)."""

    enable_connector: bool = Field(default=False, description="Run the Tripleseat to Revel connector.")
    dry_run: bool = Field(
        default=False, description="The connector plans and reports, and writes nothing to the point of sale."
    )
    tripleseat_site_id: str | None = Field(default=None, description="Site whose bookings are taken.")
    tripleseat_oauth_client_id: str | None = Field(default=None, description="OAuth2 client id at Tripleseat.")
    tripleseat_oauth_client_secret: SecretStr | None = Field(
        default=None, description="OAuth2 client secret at Tripleseat."
    )
    tripleseat_webhook_signing_key: SecretStr | None = Field(
        default=None, description="Key that signs Tripleseat webhooks."
    )
    tripleseat_base_url: str = Field(default="https://api.tripleseat.com", description="Address of the Tripleseat API.")
    revel_base_url: str | None = Field(default=None, description="Address of the Revel API.")
    revel_api_key: SecretStr | None = Field(default=None, description="Revel API key.")
    revel_api_secret: SecretStr | None = Field(default=None, description="Revel API secret.")
    revel_establishment_id: str | None = Field(default=None, description="Revel establishment that gets the orders.")
    revel_location_id: str | None = Field(
        default=None, description="Revel location, where it differs from the establishment."
    )
    allowed_locations: Names = Field(
        default_factory=list,
        description="Locations, comma-separated, whose bookings are taken; empty takes all.",
    )
    sync_endpoint_url: str | None = Field(default=None, description="Accepted for old installations; not needed.")


SECTIONS: tuple[type[BaseModel], ...] = (
    WhereItRuns,
    Database,
    Http,
    Logs,
    SecretsAndSignIn,
    Limits,
    IntakeAndLoader,
    Privacy,
    Links,
    Cache,
    Mail,
    Assistant,
    Connectors,
)
