"""Settings: every value an operator may choose, under the names of the deployment documents.

Read from the environment, then from `.env`; empty values count as absent. Every name also works with the
prefix `MAINSTEM_`, which wins where both are set. The fields describe themselves in
`mainstem.platform.settings_fields`; the page `docs/reference/settings.md` and `.env.example` are generated
from there (`mainstem.platform.settings_docs`), and checked.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import AliasChoices, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mainstem.platform.settings_fields import (
    Alerts,
    Assistant,
    Cache,
    Connectors,
    Database,
    Http,
    IntakeAndLoader,
    Limits,
    Links,
    Live,
    Logs,
    Mail,
    Privacy,
    SecretsAndSignIn,
    Webhooks,
    WhereItRuns,
)
from mainstem.platform.settings_types import Environment, IpMode, LogFormat, Names, SaltRotation, SignUp

__all__ = [
    "Environment",
    "IpMode",
    "LogFormat",
    "Names",
    "SaltRotation",
    "Settings",
    "SettingsError",
    "SignUp",
    "database_dsn",
    "environment_names",
    "get_settings",
    "given_names",
    "load_settings",
    "misspelt",
    "weakness",
]

PREFIX: Final = "MAINSTEM_"
MINIMUM_SECRET_CHARACTERS: Final = 32
_MINIMUM_DIFFERENT_CHARACTERS: Final = 10
_KNOWN_WEAK: Final = (
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "your-",
    "your_",
    "example",
    "replace",
    "0123456789",
    "abcdefghij",
)
_WEAK_DATABASE_PASSWORDS: Final = frozenset(
    {"postgres", "password", "secret", "changeme", "admin", "mainstem", "root", "test", "123456"}
)
_OUR_SECRETS: Final = ("secret_key", "better_auth_secret", "webhook_api_key")
_SCHEMES: Final = ("postgresql", "postgres")


class SettingsError(Exception):
    """The settings can't be used; each sentence names the variable and what it needs."""

    def __init__(self, sentences: Collection[str]) -> None:
        """Keep the sentences, one for each fault."""
        super().__init__(" ".join(sentences))
        self.sentences = tuple(sentences)


class Settings(
    Connectors,
    Assistant,
    Mail,
    Live,
    Alerts,
    Cache,
    Webhooks,
    Links,
    Privacy,
    IntakeAndLoader,
    Limits,
    SecretsAndSignIn,
    Logs,
    Http,
    Database,
    WhereItRuns,
    BaseSettings,
):
    """All settings; environment names are the field names in capitals unless an alias says otherwise."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let `MAINSTEM_<NAME>` stand for every name, in the environment and in `.env`."""
        del settings_cls  # the sources know it
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _without_prefix(source.env_vars)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @model_validator(mode="after")
    def _cors_is_safe(self) -> Self:
        if self.cors_allow_credentials and "*" in self.cors_origins:
            msg = "CORS_ORIGINS must name its origins when CORS_ALLOW_CREDENTIALS=true; `*` would let any site act."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _database_url_is_one(self) -> Self:
        if self.database_url is not None:
            scheme = self.database_url.get_secret_value().partition("://")[0].partition("+")[0]
            if scheme not in _SCHEMES:
                msg = "DATABASE_URL must start with postgresql://."
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _production_is_strict(self) -> Self:
        faults = list(_production_faults(self)) if self.environment is Environment.PRODUCTION else []
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _production_faults(settings: Settings) -> Iterator[str]:
    if settings.debug:
        yield "DEBUG must be off when ENVIRONMENT=production."
    if settings.secret_key is None:
        yield (
            "SECRET_KEY must be set when ENVIRONMENT=production. "
            "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    for name in _OUR_SECRETS:
        secret: SecretStr | None = getattr(settings, name)
        reason = None if secret is None else weakness(secret.get_secret_value())
        if reason is not None:
            yield f"{name.upper()} is too weak for production: {reason}."
    password = _database_password(settings)
    if password is not None and password.lower() in _WEAK_DATABASE_PASSWORDS:
        yield "The password of the database (DATABASE_URL or PGPASSWORD) is a well-known one; choose another."


def _database_password(settings: Settings) -> str | None:
    if settings.database_url is not None:
        password = urlsplit(settings.database_url.get_secret_value()).password
        return None if password is None else unquote(password)
    return None if settings.pgpassword is None else settings.pgpassword.get_secret_value()


def _without_prefix(given: Mapping[str, str | None]) -> dict[str, str | None]:
    prefix = PREFIX.lower()
    plain = {name: value for name, value in given.items() if not name.startswith(prefix)}
    prefixed = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
    # the full name stays too: one field has it as its first alias
    return {**given, **plain, **prefixed}


def weakness(secret: str) -> str | None:
    """Return why a secret is too weak for production, or None when it is strong enough."""
    if len(secret) < MINIMUM_SECRET_CHARACTERS:
        return f"it has {len(secret)} characters, {MINIMUM_SECRET_CHARACTERS} are needed"
    if len(set(secret)) < _MINIMUM_DIFFERENT_CHARACTERS:
        return f"it has fewer than {_MINIMUM_DIFFERENT_CHARACTERS} different characters"
    if any(word in secret.lower() for word in _KNOWN_WEAK):
        return "it looks like a sample from a document"
    return None


def environment_names(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the environment names of a field, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (name.upper(),)


def _all_names() -> dict[str, str]:
    """Return every environment name with the field it belongs to."""
    return {
        known: field
        for field, info in Settings.model_fields.items()
        for known in (*environment_names(field, info), field.upper())
    }


def misspelt(environ: Collection[str], *, also_known: Collection[str] = ()) -> list[str]:
    """Return a warning for each `MAINSTEM_*` name that is no setting, with the nearest name that is one.

    `also_known`: full names that other parts read, such as those of the command line.
    """
    names = _all_names()
    # the prefix itself may be part of a name: MAINSTEM_DATA_DIR
    known = {PREFIX + name.removeprefix(PREFIX) for name in names} | set(also_known)
    warnings = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name.upper() in known:
            continue
        near = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        hint = f"did you mean {near[0]}?" if near else "see docs/reference/settings.md."
        warnings.append(f"{name} is not a setting and is ignored; {hint}")
    return warnings


def given_names() -> set[str]:
    """Return the names that the environment and `.env` set, those of `.env` in capitals; none of a file it can't read."""
    try:
        in_file = DotEnvSettingsSource(Settings).env_vars
    except (OSError, UnicodeDecodeError):
        in_file = {}
    return {*os.environ, *(name.upper() for name in in_file)}


def load_settings() -> Settings:
    """Read the settings. Raises SettingsError with a sentence for every fault; none of them shows a secret."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError([sentence for one in error.errors() for sentence in _sentences(one)]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError([f"The file .env can't be read: {reason}."]) from None


def _sentences(one: ErrorDetails) -> list[str]:
    message = one["msg"].removeprefix("Value error, ")
    if not one["loc"]:
        return message.splitlines()
    name = str(one["loc"][0])
    name = next((known for known, field in _all_names().items() if name in {known, field}), name.upper())
    info = Settings.model_fields[_all_names().get(name, name.lower())]
    message = message.removeprefix("Input ").removeprefix("String ").rstrip(".")
    given = one.get("input")
    shown = "" if "SecretStr" in str(info.annotation) or not isinstance(given, str) else f" (it is {given[:80]!r})"
    return [f"{name} {message}{shown}."]


def database_dsn(settings: Settings) -> str | None:
    """Return the libpq URL of the PostgreSQL to use, or None when the embedded one is wanted.

    `postgres://` and driver forms such as `postgresql+asyncpg://` become `postgresql://`; the `ssl=` that
    belongs to them becomes libpq's `sslmode=`.
    """
    if settings.database_url is not None:
        return _plain(settings.database_url.get_secret_value())
    if settings.pghost is None:
        return None
    user = quote(settings.pguser, safe="")
    if settings.pgpassword is not None:
        user += ":" + quote(settings.pgpassword.get_secret_value(), safe="")
    database = quote(settings.pgdatabase, safe="")
    if settings.pghost.startswith("/"):
        return f"postgresql://{user}@/{database}?" + urlencode({"host": settings.pghost, "port": settings.pgport})
    host = f"[{settings.pghost}]" if ":" in settings.pghost else settings.pghost
    return f"postgresql://{user}@{host}:{settings.pgport}/{database}"


def _plain(url: str) -> str:
    rest = url.partition("://")[2]
    address, mark, options = rest.partition("?")
    if not mark:
        return f"postgresql://{address}"
    query = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(options)]
    renamed = [(name, "require" if name == "sslmode" and value == "true" else value) for name, value in query]
    return f"postgresql://{address}?{urlencode(renamed, safe='/,')}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the process's settings, read once. Raises SettingsError."""
    return load_settings()
