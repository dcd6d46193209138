"""Settings: every value an operator may choose, under the names of the deployment documents.

Read from the environment and from `.env`. Each field describes itself (meaning, bounds, unit); the page
`docs/reference/settings.md` and `.env.example` are generated from here (`mainstem settings`), and checked.
"""

from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MINIMUM_SECRET_CHARACTERS = 32
_KNOWN_WEAK = ("changeme", "change-me", "secret", "password", "your-secret", "your_secret", "your-super-secret", "example")


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


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) and not value.lstrip().startswith("[") else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings; environment names are the field names in capitals unless an alias says otherwise."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True, validate_default=True)

    # --- where it runs
    environment: Environment = Field(
        Environment.DEVELOPMENT, validation_alias=AliasChoices("ENVIRONMENT", "ENV"), description="Where this runs."
    )
    debug: bool = Field(default=False, description="Show details of internal errors; refused in production.")
    data_dir: Path = Field(Path("data"), validation_alias=AliasChoices("MAINSTEM_DATA_DIR", "DATA_DIR"), description="Folder of the embedded database, the spool and the generated secrets.")
    timezone: str = Field("UTC", description="IANA time zone used where a person reads times in mails and reports.")

    # --- database
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "SYSTEM_DATABASE_URL"),
        description="PostgreSQL 15 or newer; when absent (and no PGHOST), the embedded PostgreSQL is used.",
    )
    pghost: str | None = Field(None, description="PostgreSQL host, as libpq reads it; used when DATABASE_URL is absent.")
    pgport: int = Field(5432, ge=1, le=65535, description="PostgreSQL port, as libpq reads it.")
    pgdatabase: str = Field("mainstem", description="PostgreSQL database, as libpq reads it.")
    pguser: str = Field("postgres", description="PostgreSQL user, as libpq reads it.")
    pgpassword: SecretStr | None = Field(None, description="PostgreSQL password, as libpq reads it.")
    database_pool_size: int = Field(20, ge=2, le=500, description="Connections a process keeps at most in normal use.")
    database_max_overflow: int = Field(40, ge=0, le=500, description="Connections above the pool size that may be opened under load.")

    # --- HTTP
    api_host: str = Field("127.0.0.1", description="Address to listen on.")
    api_port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_workers: int = Field(1, ge=1, le=64, description="Processes of `mainstem serve`.")
    cors_origins: Names = Field(default_factory=list, validation_alias=AliasChoices("CORS_ORIGINS", "ALLOWED_ORIGINS"), description="Origins, comma-separated, that browsers may call the API from.")
    cors_allow_credentials: bool = Field(default=False, description="Let browsers send cookies across origins.")
    cors_allow_methods: Names = Field(default_factory=lambda: ["GET", "POST", "PUT", "PATCH", "DELETE"], description="Methods browsers may use across origins.")
    trusted_proxies: Names = Field(default_factory=list, description="Networks (CIDR, comma-separated) whose X-Forwarded-For is believed.")
    metrics_enabled: bool = Field(default=True, description="Serve /metrics for Prometheus.")
    health_check_interval_seconds: int = Field(30, ge=1, le=3600, description="Seconds between background health checks.")

    # --- logs
    log_level: str = Field("INFO", validation_alias=AliasChoices("LOG_LEVEL", "API_LOG_LEVEL"), description="DEBUG, INFO, WARNING or ERROR.")
    log_format: LogFormat = Field(LogFormat.AUTO, description="json, pretty, or auto (pretty on a terminal).")
    sentry_dsn: SecretStr | None = Field(None, description="Send errors to this Sentry project.")

    # --- secrets and sign-in
    secret_key: SecretStr | None = Field(None, description="Signs tokens and salts visitor keys; at least 32 random characters. Made and kept in the data folder when absent outside production.")
    jwt_algorithm: str = Field("HS256", pattern="^HS256$", description="The one algorithm of issued tokens.")
    jwt_expiration_hours: int = Field(24, ge=1, le=24 * 90, description="Hours an issued token is valid.")
    better_auth_secret: SecretStr | None = Field(None, description="Shared secret of Better Auth tokens (HS256), read only with BETTER_AUTH_LEGACY=true.")
    better_auth_legacy: bool = Field(default=False, description="Accept Better Auth tokens signed with the shared secret.")
    better_auth_jwks_url: str | None = Field(None, description="JWKS address of a Better Auth server whose tokens are accepted.")
    better_auth_issuer: str | None = Field(None, description="Required issuer of Better Auth tokens.")
    better_auth_audience: str | None = Field(None, description="Required audience of Better Auth tokens.")
    webhook_api_key: SecretStr | None = Field(None, description="An ingest key of the default tenant, for clients of the tracking-ingest system.")
    default_tenant: str = Field("default", description="Tenant of WEBHOOK_API_KEY, sign-ups and the Tripleseat webhook.")

    # --- limits
    rate_limit_requests: int = Field(100, ge=1, description="Management requests per window and per user or key.")
    rate_limit_window_seconds: int = Field(60, ge=1, le=3600, description="Seconds of a rate-limit window.")
    ingest_rate_limit_events: int = Field(10_000_000, ge=1, description="Events per window and per key.")
    public_key_rate_limit_events: int = Field(600, ge=1, description="Events per window and per client address through a public key.")
    max_body_bytes: int = Field(5_000_000, ge=1_000, description="Largest request body, after decompression too (bytes).")
    max_events_per_request: int = Field(1_000, ge=1, le=10_000, description="Most events in one request.")
    max_event_bytes: int = Field(65_536, ge=1_000, description="Largest single event (bytes).")

    # --- intake, loader, retention
    spool_max_mb: int = Field(1_024, ge=1, description="Most megabytes of events kept in the local spool while PostgreSQL is away.")
    intake_commit_timeout_seconds: float = Field(5.0, gt=0, le=60, description="Seconds a group commit may take before its events go to the spool.")
    loader_lanes: int = Field(1, ge=1, le=64, description="Loader lanes; a tenant belongs to lane tenant_id modulo lanes.")
    sync_wait_seconds: float = Field(2.0, ge=0, le=30, description="Longest wait of a synchronous /track for its load before it answers queued.")
    raw_retention_days: int = Field(90, ge=1, description="Days that raw events are kept before their partition is dropped.")
    future_tolerance_seconds: int = Field(300, ge=0, description="How far ahead a sender's clock may be before occurred_at is corrected (seconds).")

    # --- privacy and the browser tracker
    ip_mode: IpMode = Field(IpMode.TRUNCATE, description="truncate (/24 or /48), salt (keyed hash), keep or drop client addresses.")
    visitor_salt_rotation: SaltRotation = Field(SaltRotation.DAILY, description="How long a cookieless visitor key stays the same: daily or never.")
    tracker_respect_dnt: bool = Field(default=True, description="The browser tracker sends nothing when Do-Not-Track or Global Privacy Control is on.")

    # --- cache (read by the delivery part)
    cache_enabled: bool = Field(default=True, description="Use the in-process cache.")
    cache_ttl_seconds: int = Field(60, ge=1, description="Seconds an entry of the cache lives.")
    cache_max_size: int = Field(10_000, ge=1, description="Most entries of the in-process cache.")
    redis_url: SecretStr | None = Field(None, description="Optional second cache level.")

    # --- mail
    smtp_url: SecretStr | None = Field(None, description="smtp://user:password@host:port, or smtps://.")
    mail_from: str | None = Field(None, description="Sender of mails.")
    mail_to: Names = Field(default_factory=list, description="Receivers of operator mails, comma-separated.")

    # --- assistant
    openai_api_key: SecretStr | None = Field(None, description="Key of an OpenAI-compatible endpoint; without it the local model answers.")
    openai_model: str = Field("gpt-4o-mini", description="Model name at that endpoint.")
    openai_base_url: str | None = Field(None, description="Address of an OpenAI-compatible endpoint.")
    mcp_server_host: str = Field("127.0.0.1", description="Address of the MCP server.")
    mcp_server_port: int = Field(5555, ge=0, le=65535, description="Port of the MCP server.")

    # --- connectors
    enable_connector: bool = Field(default=False, description="Run the Tripleseat to Revel connector.")
    dry_run: bool = Field(default=False, description="The connector plans and reports, and writes nothing to the point of sale.")
    tripleseat_site_id: str | None = Field(None, description="Site whose bookings are taken.")
    tripleseat_oauth_client_id: str | None = Field(None, description="OAuth2 client id at Tripleseat.")
    tripleseat_oauth_client_secret: SecretStr | None = Field(None, description="OAuth2 client secret at Tripleseat.")
    tripleseat_webhook_signing_key: SecretStr | None = Field(None, description="Key that signs Tripleseat webhooks.")
    tripleseat_base_url: str = Field("https://api.tripleseat.com", description="Address of the Tripleseat API.")
    revel_base_url: str | None = Field(None, description="Address of the Revel API.")
    revel_api_key: SecretStr | None = Field(None, description="Revel API key.")
    revel_api_secret: SecretStr | None = Field(None, description="Revel API secret.")
    revel_establishment_id: str | None = Field(None, description="Revel establishment that gets the orders.")
    revel_location_id: str | None = Field(None, description="Revel location, where it differs from the establishment.")
    allowed_locations: Names = Field(default_factory=list, description="Locations, comma-separated, whose bookings are taken; empty takes all.")
    sync_endpoint_url: str | None = Field(None, description="Accepted for old installations; not needed.")

    @model_validator(mode="after")
    def _production_is_strict(self) -> Self:
        if self.environment is not Environment.PRODUCTION:
            return self
        if self.debug:
            msg = "DEBUG must be off when ENVIRONMENT=production."
            raise ValueError(msg)
        if self.secret_key is None:
            msg = "SECRET_KEY must be set when ENVIRONMENT=production. Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
            raise ValueError(msg)
        for name in ("secret_key", "better_auth_secret", "webhook_api_key"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and (reason := weakness(secret.get_secret_value())):
                msg = f"{name.upper()} is too weak for production: {reason}."
                raise ValueError(msg)
        return self


def weakness(secret: str) -> str | None:
    """Return why a secret is too weak for production, or None when it is strong enough."""
    if len(secret) < MINIMUM_SECRET_CHARACTERS:
        return f"it has {len(secret)} characters, {MINIMUM_SECRET_CHARACTERS} are needed"
    if len(set(secret)) < 10:
        return "it has fewer than 10 different characters"
    if any(word in secret.lower() for word in _KNOWN_WEAK):
        return "it looks like a sample from a document"
    return None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings, read once."""
    return Settings()
