"""The fields of the settings, by section: meaning, bounds, unit and default of each.

A section is a class; its docstring is the heading of the reference page, its fields the rows of the table.
`mainstem.platform.settings` puts them together and reads them.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, SecretStr

from mainstem.platform.settings_types import (
    Addresses,
    Environment,
    EnvironmentName,
    IpMode,
    IpModeName,
    Key,
    Keys,
    LogFormat,
    LogFormatName,
    LogLevel,
    Methods,
    Names,
    Networks,
    OptionalPath,
    OptionalUrl,
    OptionalZone,
    Origins,
    PiiNames,
    RedisUrl,
    SaltRotation,
    SaltRotationName,
    Sender,
    SignUpName,
    SmtpUrl,
    Zone,
)


class WhereItRuns(BaseModel):
    """Where it runs."""

    environment: EnvironmentName = Field(
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
    timezone: Zone = Field(
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

    log_level: LogLevel = Field(
        default="INFO",
        validation_alias=AliasChoices("LOG_LEVEL", "API_LOG_LEVEL"),
        description="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
    )
    log_format: LogFormatName = Field(
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
    jwt_expiration_hours: int = Field(
        default=24, ge=1, le=24 * 90, description="Hours an issued token is valid, and a session lasts."
    )
    sign_up: SignUpName | None = Field(
        default=None,
        description="Who may make an account: closed (nobody; use `mainstem user create`), invited (whom an owner invited) "
        "or open (everybody). Open when ENVIRONMENT=development, else invited, when absent.",
    )
    sign_up_role: str = Field(
        default="guest",
        pattern="^(guest|viewer|member)$",
        description="Role of those who sign up: guest (own tasks and chats), viewer or member.",
    )
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
    better_auth_sign_up: bool = Field(
        default=False,
        description="Make a user, of SIGN_UP_ROLE, for a Better Auth token whose e-mail is verified there and unknown here.",
    )
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
    archive_dir: OptionalPath = Field(
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

    ip_mode: IpModeName = Field(
        default=IpMode.TRUNCATE, description="truncate (/24 or /48), salt (keyed hash), keep or drop client addresses."
    )
    visitor_salt_rotation: SaltRotationName = Field(
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

    public_url: OptionalUrl = Field(
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
    geoip_file: OptionalPath = Field(
        default=None,
        description="MaxMind database (.mmdb, city or country) by which clicks get their country and city.",
    )


class Webhooks(BaseModel):
    """Webhooks and other outgoing calls."""

    outbound_allow: Networks = Field(
        default_factory=list,
        description="Private networks that webhooks and connectors may reach, comma-separated, such as 10.20.0.0/16. "
        "Public addresses need no leave.",
    )
    webhook_concurrency: int = Field(
        default=512, ge=1, le=10_000, description="Deliveries that a working process has under way at once."
    )
    webhook_concurrency_per_endpoint: int = Field(
        default=16, ge=1, le=1_000, description="The same for one endpoint; fewer while it does badly."
    )
    webhook_lease_seconds: int = Field(
        default=60,
        ge=2,
        le=3_600,
        description="Seconds after which deliveries of a worker that died are taken over by another.",
    )
    webhook_disable_after_hours: float = Field(
        default=120,
        gt=0,
        le=8_760,
        description="Hours of nothing but failures after which an endpoint is switched off; warnings go out before.",
    )
    webhook_retention_days: int = Field(
        default=30, ge=1, le=3_650, description="Days that finished deliveries, their attempts and answers are kept."
    )
    webhook_endpoints_max: int = Field(default=1_000, ge=1, description="Endpoints that a tenant may have.")


class Cache(BaseModel):
    """Cache."""

    cache_enabled: bool = Field(
        default=True, description="Keep what is asked for often; false: always load. Links have LINK_CACHE_SIZE."
    )
    cache_ttl_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="Seconds an entry lives: no answer is older, whatever fails. Changes are known at once.",
    )
    cache_max_size: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="Entries that a process keeps in memory; the least used go first.",
    )
    redis_url: RedisUrl = Field(
        default=None,
        description="Redis (6 or newer) that processes share entries through, such as redis://:password@host:6379/0; "
        "rediss:// with TLS, unix:// for a socket. It may be gone or emptied at any time.",
    )


class Live(BaseModel):
    """Live dashboard."""

    live_max_connections: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        description="Most WebSocket clients of a process; further ones are turned away.",
    )
    live_max_connections_per_tenant: int = Field(
        default=2_000, ge=1, le=100_000, description="Most WebSocket clients of one tenant in a process."
    )
    live_buffer_kb: int = Field(
        default=1_024,
        ge=256,
        le=65_536,
        description="Kilobytes that may wait for a WebSocket client that reads slowly, before it is dropped.",
    )


class Alerts(BaseModel):
    """Alerts."""

    alerts_enabled: bool = Field(
        default=True, description="Judge alert rules; without it alerts are only those that are sent to the API."
    )
    alert_interval_seconds: int = Field(
        default=15, ge=5, le=300, description="Seconds between two rounds in which all rules are judged."
    )
    alert_retention_days: int = Field(
        default=90, ge=1, le=3650, description="Days that resolved alerts and what was sent about them are kept."
    )


class Mail(BaseModel):
    """Mail."""

    smtp_url: SmtpUrl = Field(
        default=None,
        description="Mail server: smtp://user:password@host:port, with TLS where it offers it, or smtps://. "
        "Special characters of user and password percent-encoded.",
    )
    mail_from: Sender = Field(
        default=None,
        description="Sender of mails, `Name <address>` or an address; the user of SMTP_URL when absent and an address.",
    )
    mail_to: Addresses = Field(
        default_factory=list,
        description="Receivers of operator mails, comma-separated: of alerts whose rule names none.",
    )


class Assistant(BaseModel):
    """Assistant."""

    openai_api_key: SecretStr | None = Field(
        default=None, description="Key of an OpenAI-compatible endpoint; without it the local model answers."
    )
    openai_model: str = Field(default="gpt-4o-mini", description="Model name at that endpoint.")
    openai_base_url: str | None = Field(
        default=None,
        description="Address of an OpenAI-compatible endpoint, such as https://api.openai.com/v1 (the default).",
    )
    openai_max_tokens: int = Field(
        default=4_096, ge=16, le=1_000_000, description="Most tokens of one answer of the model."
    )
    openai_timeout_seconds: float = Field(
        default=30, gt=0, le=600, description="Seconds that one request to the model may take."
    )
    assistant_tool_rounds: int = Field(
        default=6,
        ge=1,
        le=50,
        description="Requests to the model for one message, with the calls of tools between them.",
    )
    assistant_messages_per_minute: int = Field(
        default=30, ge=1, le=100_000, description="Chat messages of one person in a minute."
    )
    assistant_tokens_per_day: int = Field(
        default=0, ge=0, description="Tokens that a tenant's chats may use in a UTC day; 0: any number."
    )
    max_conversation_history: int = Field(
        default=50,
        ge=2,
        le=1_000,
        description="Messages of a conversation that a model is shown; older ones as a summary.",
    )
    conversation_history_characters: int = Field(
        default=24_000, ge=1_000, le=1_000_000, description="Characters of those messages, the newest first."
    )
    chat_retention_days: int = Field(
        default=365, ge=1, le=36_500, description="Days that a conversation is kept after its last message."
    )
    tool_log_days: int = Field(default=90, ge=1, le=36_500, description="Days that the log of tool calls is kept.")
    mcp_enabled: bool = Field(
        default=True, description="Serve MCP, at /mcp and on the port of its own; without it neither is there."
    )
    mcp_server_host: str = Field(
        default="127.0.0.1", description="Address that `mainstem up` opens MCP on, beside /mcp of the API."
    )
    mcp_server_port: int = Field(
        default=5555,
        ge=0,
        le=65535,
        description="Port that `mainstem up` opens MCP on; 0 opens none, and a taken one is a warning.",
    )
    mcp_allowed_hosts: Names = Field(
        default=[],
        description="Host names under which MCP is reached, such as hub.example.com or hub.example.com:8443, beside "
        "localhost, the address of the connection and PUBLIC_URL; * takes any.",
    )


class Connectors(BaseModel):
    """Connectors."""

    enable_connector: bool = Field(default=False, description="Run the Tripleseat to Revel connector.")
    connector_tenant: str | None = Field(
        default=None,
        description="Slug of the tenant that the Tripleseat connector works for; DEFAULT_TENANT by default.",
    )
    dry_run: bool = Field(
        default=False, description="The connector plans and reports, and writes nothing to the point of sale."
    )
    tripleseat_site_id: str | None = Field(
        default=None, description="Site whose bookings are taken; others are refused. Without it all are taken."
    )
    tripleseat_oauth_client_id: str | None = Field(default=None, description="OAuth2 client id at Tripleseat.")
    tripleseat_oauth_client_secret: SecretStr | None = Field(
        default=None, description="OAuth2 client secret at Tripleseat."
    )
    tripleseat_oauth_grant: str = Field(
        default="client_credentials",
        pattern="^(client_credentials|authorization_code)$",
        description="How tokens are had: client_credentials, or authorization_code where the account asks for a sign-in.",
    )
    tripleseat_oauth_scope: str | None = Field(
        default=None, description="Scopes to ask for, separated by spaces; those of the application when absent."
    )
    tripleseat_token_url: str | None = Field(
        default=None,
        description="Address of the OAuth2 token endpoint; /oauth2/token of TRIPLESEAT_BASE_URL when absent.",
    )
    tripleseat_login_url: str | None = Field(
        default=None,
        description="Where an admin signs in for authorization_code; that of Tripleseat when absent.",
    )
    tripleseat_redirect_uri: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description=(
            "Where the browser comes back to after the sign-in, exactly as Tripleseat's application names it: "
            "https://<your hub>/oauth/callback, or http://127.0.0.1:<port>/… for the command line."
        ),
    )
    tripleseat_webhook_signing_key: SecretStr | None = Field(
        default=None, description="Key that signs Tripleseat webhooks."
    )
    tripleseat_signature_form: str = Field(
        default="timed",
        pattern="^(timed|bare)$",
        description="timed: `t=…,v1=…`; bare: hex of the body's HMAC is taken, too, which anybody may send again.",
    )
    tripleseat_base_url: str = Field(default="https://api.tripleseat.com", description="Address of the Tripleseat API.")
    revel_base_url: str | None = Field(default=None, description="Address of the Revel API.")
    revel_api_key: SecretStr | None = Field(default=None, description="Revel API key.")
    revel_api_secret: SecretStr | None = Field(default=None, description="Revel API secret.")
    revel_establishment_id: str | None = Field(default=None, description="Revel establishment that gets the orders.")
    revel_location_id: str | None = Field(
        default=None, description="Accepted for old installations; the establishment says where orders go."
    )
    revel_write_api: str = Field(
        default="cart",
        pattern="^(cart|resource)$",
        description="How orders are made: cart (checked and made whole by Revel) or resource (row by row, undone when it fails).",
    )
    revel_dining_option: int = Field(default=0, ge=0, description="Dining option of the orders.")
    revel_payment_type: int | None = Field(
        default=None, ge=0, description="Type of the payment that closes an order; orders stay open without it."
    )
    revel_user_id: str | None = Field(
        default=None, description="Revel user who makes orders by the resource API; the first one when absent."
    )
    revel_station_id: str | None = Field(
        default=None, description="Revel station where they are made; the first one when absent."
    )
    revel_cart_content_type: str = Field(
        default="application/json", description="Content type of cart calls; some instances take text/plain only."
    )
    revel_requests_per_second: int = Field(default=100, ge=1, le=1_000, description="Most calls of Revel a second.")
    allowed_locations: Names = Field(
        default_factory=list,
        description="Sites or locations, comma-separated, whose bookings are taken; empty takes all.",
    )
    connector_files: Names = Field(
        default_factory=list,
        description="Files of connectors of your own (YAML or JSON), comma-separated: docs/guides/own-connector.md.",
    )
    connector_mapping: str | None = Field(
        default=None,
        description="File or address of a CSV mapping (item,product,product_name,ignore) that is taken in at the start while "
        "the Tripleseat connector has none.",
    )
    connector_statuses: Names = Field(
        default_factory=lambda: ["DEFINITE", "CLOSED"],
        description="Statuses of bookings that become orders, comma-separated.",
    )
    connector_timezone: OptionalZone = Field(
        default=None, description="Time zone of the site; that of each booking when absent, else TIMEZONE."
    )
    connector_on_change: str = Field(
        default="replace",
        pattern="^(replace|flag)$",
        description="What becomes of the order of a booking that changed: replace it, or flag it for people.",
    )
    connector_on_cancel: str = Field(
        default="void",
        pattern="^(void|flag)$",
        description="What becomes of the order of a booking that was cancelled: void it, or flag it for people.",
    )
    connector_mail_to: Addresses = Field(
        default_factory=list, description="Receivers of mails about orders, comma-separated; MAIL_TO when empty."
    )
    connector_budget_seconds: float = Field(
        default=3.0,
        gt=0,
        le=4.5,
        description="How long a webhook is worked on before it is answered; it goes on after that.",
    )
    connector_interval_minutes: float = Field(
        default=45, gt=0, le=1_440, description="Minutes between two reconciliations."
    )
    connector_look_back_hours: float = Field(
        default=48, ge=0, le=744, description="Hours that a reconciliation reads again of what was read before."
    )
    connector_settle_seconds: float = Field(
        default=120,
        gt=0,
        le=3_600,
        description="Seconds after which an order that was sent and is not to be found counts as not there.",
    )
    connector_lease_seconds: float = Field(
        default=90, ge=2, le=3_600, description="Seconds after which the work of a process that died is taken over."
    )
    connector_concurrency: int = Field(default=8, ge=1, le=100, description="Bookings that a process works on at once.")
    connector_retention_days: int = Field(
        default=30, ge=1, le=3_650, description="Days that deliveries as they came, and runs, are kept."
    )
    connector_kept_most: int = Field(
        default=10_000,
        ge=10,
        le=10_000_000,
        description=(
            "How many refused deliveries and repetitions of each connector are kept, about 2 kB each at most: "
            "the oldest go first."
        ),
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
    Webhooks,
    Cache,
    Live,
    Alerts,
    Mail,
    Assistant,
    Connectors,
)
