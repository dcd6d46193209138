"""Settings: sources, faults in plain sentences, production's refusals, the database's address."""

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.settings import (
    Settings,
    SettingsError,
    database_dsn,
    environment_names,
    load_settings,
    misspelt,
    weakness,
)

CANARY = "canary-Zq7wX2mV9kLp4RtY8sNb3HcJ"
STRONG = secrets.token_urlsafe(48)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, field in Settings.model_fields.items():
        for known in (name.upper(), *environment_names(name, field)):
            monkeypatch.delenv(known, raising=False)


def _load(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Settings:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def _faults(monkeypatch: pytest.MonkeyPatch, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        _load(monkeypatch, **environ)
    return caught.value.sentences


def test_without_any_setting_everything_has_a_default() -> None:
    settings = load_settings()
    assert (settings.api_port, settings.environment, settings.mcp_server_port) == (8000, "development", 5555)
    assert database_dsn(settings) is None


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("SYSTEM_DATABASE_URL", "postgresql://h/x", "database_url", "postgresql://h/x"),
        ("ENV", "prod", "environment", "production"),
        ("ENVIRONMENT", "Staging", "environment", "staging"),
        (
            "ALLOWED_ORIGINS",
            "https://A.example/, http://b.example:81",
            "cors_origins",
            ["https://a.example", "http://b.example:81"],
        ),
        ("ALLOWED_ORIGINS", '["https://a.example"]', "cors_origins", ["https://a.example"]),
        ("API_LOG_LEVEL", "warn", "log_level", "WARNING"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("TRUSTED_PROXIES", "10.0.0.1, 192.168.0.0/16", "trusted_proxies", ["10.0.0.1/32", "192.168.0.0/16"]),
        ("MAINSTEM_API_PORT", "81", "api_port", 81),
        ("MAINSTEM_DATA_DIR", "there", "data_dir", Path("there")),
        ("DATA_DIR", "there", "data_dir", Path("there")),
    ],
)
def test_names_and_values_are_read_as_the_documents_write_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, expected: object
) -> None:
    if expected == "production":
        monkeypatch.setenv("SECRET_KEY", STRONG)
    found = getattr(_load(monkeypatch, **{name: value}), field)
    assert (found.get_secret_value() if field == "database_url" else found) == expected


def test_the_prefixed_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _load(monkeypatch, API_PORT="81", MAINSTEM_API_PORT="82").api_port == 82


def test_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("API_PORT=81\nMAINSTEM_API_HOST=::1\n")
    settings = _load(monkeypatch, API_PORT="82")
    assert (settings.api_port, settings.api_host) == (82, "::1")


@pytest.mark.parametrize("name", ["API_PORT", "DATABASE_URL", "SECRET_KEY", "LOG_LEVEL", "CORS_ORIGINS", "PGHOST"])
def test_an_empty_value_counts_as_absent(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert _load(monkeypatch, **{name: ""}) == Settings()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"API_PORT": "http"},
            "API_PORT should be a valid integer, unable to parse string as an integer (it is 'http').",
        ),
        ({"API_PORT": "70000"}, "API_PORT should be less than or equal to 65535 (it is '70000')."),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL (it is 'loud')."),
        (
            {"TIMEZONE": "Mars/Olympus"},
            "TIMEZONE must be an IANA time zone such as Europe/Berlin (it is 'Mars/Olympus').",
        ),
        ({"DATABASE_URL": f"mysql://u:{CANARY}@h/x"}, "DATABASE_URL must start with postgresql://."),
        (
            {"CORS_ORIGINS": "*", "CORS_ALLOW_CREDENTIALS": "true"},
            "CORS_ORIGINS must name its origins when CORS_ALLOW_CREDENTIALS=true; `*` would let any site act.",
        ),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], sentence: str
) -> None:
    assert _faults(monkeypatch, **environ) == (sentence,)


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_faults(monkeypatch, API_PORT="x", API_WORKERS="0", LOG_FORMAT="xml")) == 3


def test_an_unreadable_file_is_a_sentence_too() -> None:
    Path(".env").write_bytes(b"API_HOST=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env can't be read"):
        load_settings()


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too weak for production: it has 5 characters"),
        ({"SECRET_KEY": "your-super-secret-key-change-this-in-production"}, "sample from a document"),
        ({"SECRET_KEY": STRONG, "DEBUG": "true"}, "DEBUG must be off"),
        ({"SECRET_KEY": STRONG, "WEBHOOK_API_KEY": "changeme"}, "WEBHOOK_API_KEY is too weak"),
        ({"SECRET_KEY": STRONG, "DATABASE_URL": "postgresql://postgres:postgres@db/x"}, "password of the database"),
    ],
)
def test_production_refuses(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], part: str) -> None:
    sentences = _faults(monkeypatch, ENVIRONMENT="production", **environ)
    assert any(part in sentence for sentence in sentences)
    assert _load_in_development(monkeypatch, environ)


def _load_in_development(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> Settings:
    return _load(monkeypatch, **{**environ, "ENVIRONMENT": "development"})


def test_production_starts_with_strong_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"ENVIRONMENT": "production", "SECRET_KEY": STRONG, "DATABASE_URL": f"postgresql://u:{STRONG}@db/x"}
    assert _load(monkeypatch, **environ).environment == "production"


def test_no_fault_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = _faults(monkeypatch, ENV="production", SECRET_KEY=f"{CANARY}-secret-secret", BETTER_AUTH_SECRET=CANARY)
    assert len(sentences) == 2
    assert CANARY not in " ".join(sentences)
    assert CANARY not in repr(_load(monkeypatch, ENV="test", SECRET_KEY=CANARY))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MAINSTEM_API_PROT", "did you mean MAINSTEM_API_PORT?"),
        ("MAINSTEM_DATADIR", "did you mean MAINSTEM_DATA_DIR?"),
        ("MAINSTEM_DATABSE_URL", "did you mean MAINSTEM_DATABASE_URL?"),
        ("MAINSTEM_XYZZY_PLUGH", "see docs/reference/settings.md."),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest_one(name: str, hint: str) -> None:
    assert misspelt({name: CANARY}) == [f"{name} is not a setting and is ignored; {hint}"]


def test_known_and_foreign_names_are_no_news() -> None:
    environ = {
        "MAINSTEM_API_PORT": "1",
        "MAINSTEM_DATA_DIR": "d",
        "MAINSTEM_ENV": "test",
        "API_PROT": "x",
        "MAINSTEM_URL": "u",
    }
    assert misspelt(environ, also_known=("MAINSTEM_URL",)) == []


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("postgres://u:p@h/x", "postgresql://u:p@h/x"),
        ("postgresql+asyncpg://u:p%40@h:5433/x?ssl=require", "postgresql://u:p%40@h:5433/x?sslmode=require"),
        ("postgresql+psycopg://h/x?ssl=true", "postgresql://h/x?sslmode=require"),
        ("postgresql:///x?host=/run/pg", "postgresql:///x?host=/run/pg"),
    ],
)
def test_an_address_of_any_driver_becomes_libpqs(monkeypatch: pytest.MonkeyPatch, given: str, plain: str) -> None:
    assert database_dsn(_load(monkeypatch, DATABASE_URL=given)) == plain


@pytest.mark.parametrize(
    ("environ", "dsn"),
    [
        ({"PGHOST": "db"}, "postgresql://postgres@db:5432/mainstem"),
        (
            {"PGHOST": "::1", "PGUSER": "a b", "PGPASSWORD": "p@/ß"},
            "postgresql://a%20b:p%40%2F%C3%9F@[::1]:5432/mainstem",
        ),
        ({"PGHOST": "/run/pg", "PGPORT": "6"}, "postgresql://postgres@/mainstem?host=%2Frun%2Fpg&port=6"),
        ({"PGHOST": "db", "DATABASE_URL": "postgresql://other/x"}, "postgresql://other/x"),
    ],
)
def test_libpqs_own_variables_work(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], dsn: str) -> None:
    assert database_dsn(_load(monkeypatch, **environ)) == dsn


@given(st.text(max_size=31))
def test_a_short_secret_is_always_weak(secret: str) -> None:
    assert weakness(secret) is not None


@given(st.binary(min_size=32, max_size=64))
def test_weakness_is_only_about_length_variety_and_samples(raw: bytes) -> None:
    text = raw.hex()
    expected = len(set(text)) < 10 or "0123456789" in text or "abcdefghij" in text
    assert (weakness(text) is not None) == expected
