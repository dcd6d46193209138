"""Logs: one line per event, no secret, no forged line, for our own events and every library's."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from mainstem.platform import log
from mainstem.platform.log import MASK, Redactor, escape
from mainstem.platform.settings import Settings

CANARY = "canary-Zq7wX2mV9kLp4RtY8sNb3HcJ"
KEY = "ms_live_8Jw0YpQeR1tUvXz2AbCdEfGhIjKlMnOp"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Yield the stream of JSON log lines; logging is put back afterwards."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    stream = io.StringIO()
    log.configure(Settings(_env_file=None, log_format="json", secret_key=SecretStr(CANARY)), stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def _events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_name(lines: io.StringIO) -> None:
    structlog.get_logger("mainstem.x").info("batch loaded", events=3)
    (event,) = _events(lines)
    assert list(event)[:3] == ["timestamp", "level", "event"]
    assert event["timestamp"].endswith("Z")
    assert (event["level"], event["event"], event["logger"], event["events"]) == (
        "info",
        "batch loaded",
        "mainstem.x",
        3,
    )


@pytest.mark.parametrize("name", ["uvicorn.error", "asyncpg", "alembic.runtime.migration", "some.library"])
def test_a_librarys_lines_come_through_the_same_pipeline(lines: io.StringIO, name: str) -> None:
    with structlog.contextvars.bound_contextvars(request_id="req-1"):
        logging.getLogger(name).warning("connecting to %s", f"postgresql://u:{CANARY}@h/x")
    (event,) = _events(lines)
    assert (event["event"], event["logger"]) == (f"connecting to postgresql://u:{MASK}@h/x", name)
    assert event["request_id"] == "req-1"


def test_the_servers_own_access_lines_are_off(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info("GET /?token=x")
    assert lines.getvalue() == ""


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("some.library").debug("quiet")
    assert lines.getvalue() == ""


def test_an_exception_is_one_line_without_its_secrets(lines: io.StringIO) -> None:
    try:
        raise RuntimeError(f'refused {CANARY}\n{{"event":"forged"}}')  # noqa: TRY301
    except RuntimeError:
        structlog.get_logger().exception("failed")
    (event,) = _events(lines)
    assert "RuntimeError: refused" in event["exception"]
    assert CANARY not in lines.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        f"key {KEY}!",
        f"Authorization: Bearer {CANARY}x",
        f"Basic {CANARY}",
        f"postgresql://user:{CANARY}@db/x",
        f"redis://:{CANARY}@cache",
        f"/api?token={CANARY}&page=2",
        f"https://x/?a=1&api_key={CANARY}",
        f"password={CANARY} host=db",
        f"X-API-Key: {CANARY}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary-Zq7wX2mV9kLp4RtY8sNb3HcJ",
        "whsec_canaryZq7wX2mV9kLp4RtY8sNb3HcJ",
    ],
)
def test_secrets_inside_texts_are_masked(value: str) -> None:
    shown = Redactor()(None, "", {"event": value})["event"]
    assert MASK in shown
    assert not any(part in shown for part in (CANARY, "8Jw0Yp", "Zq7wX2"))


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Cookie",
        "password",
        "user_password",
        "SECRET_KEY",
        "api_key",
        "x-api-key",
        "token",
        "refresh_token",
        "signature",
        "DATABASE_DSN",
    ],
)
def test_fields_named_like_secrets_are_masked_whatever_they_hold(name: str) -> None:
    redact = Redactor()
    assert redact(None, "", {name: CANARY, "nested": [{name: {"a": CANARY}}]}) == {name: MASK, "nested": [{name: MASK}]}


@pytest.mark.parametrize("name", ["tenant", "key_id", "token_type", "monkey", "path", "ms"])
def test_other_fields_are_left_alone(name: str) -> None:
    assert Redactor()(None, "", {name: "plain value 42"}) == {name: "plain value 42"}


def test_known_values_are_masked_anywhere_and_secret_objects_too() -> None:
    event = {
        "event": f"a{CANARY}b",
        "list": [CANARY],
        CANARY: 1,
        "object": SecretStr(CANARY),
        "error": ValueError(CANARY),
    }
    assert CANARY not in str(Redactor([CANARY])(None, "", event))


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.text() | st.integers() | st.none(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=20,
        ),
        max_size=4,
    )
)
def test_redaction_never_fails_and_never_lets_a_known_secret_through(event: dict[str, Any]) -> None:
    planted = {**event, "planted": [event, f"x{CANARY}"]}
    assert CANARY not in json.dumps(Redactor([CANARY])(None, "", planted))


@given(st.text())
def test_any_text_stays_one_line(text: str) -> None:
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in escaped)


@pytest.mark.parametrize(
    "text", ["a\r\nb", "\x1b[2Jx", "a\u2028b", "a\u202eb", "\x9b31m", "a\x00b", "a\x85b", "a\x7fb"]
)
def test_neither_form_can_be_forged(text: str) -> None:
    stream = io.StringIO()
    for form in ("json", "pretty"):
        log.configure(Settings(_env_file=None, log_format=form), stream=stream)
        structlog.get_logger("x").warning(text, **{"field": text, text: text})
    written = stream.getvalue()
    assert len(written.rstrip("\n").splitlines()) == 2
    assert not any(letter in written for letter in "\r\x1b\u2028\u202e\x9b\x00\x85\x7f")
    structlog.reset_defaults()


def test_a_stack_in_pretty_form_is_indented_so_that_no_line_looks_like_an_event() -> None:
    stream = io.StringIO()
    log.configure(Settings(_env_file=None, log_format="pretty"), stream=stream)
    try:
        raise RuntimeError("x\n2026-01-01T00:00:00Z [info] forged")  # noqa: TRY301
    except RuntimeError:
        structlog.get_logger("x").exception("failed")
    first, *stack = stream.getvalue().splitlines()
    assert "failed" in first
    assert stack
    assert all(line.startswith("    ") for line in stack)
    structlog.reset_defaults()


def test_correlation_ids_are_in_brackets_and_end_with_their_block(lines: io.StringIO) -> None:
    with log.correlation("sync") as made:
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    inside, outside = _events(lines)
    assert made.startswith("[sync-")
    assert inside["correlation_id"] == made
    assert "correlation_id" not in outside


def test_a_missing_sentry_package_is_said_and_stops_nothing(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "find_spec", lambda _name: None)
    log.configure(
        Settings(_env_file=None, log_format="json", sentry_dsn=SecretStr(f"https://{CANARY}@x/1")), stream=lines
    )
    (event,) = _events(lines)
    assert "sentry-sdk is missing" in event["event"]
    assert CANARY not in lines.getvalue()


def test_what_goes_to_sentry_is_masked_too(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}
    captured: list[BaseException] = []
    sentry = ModuleType("sentry_sdk")
    sentry.init = started.update  # type: ignore[attr-defined]
    sentry.capture_exception = captured.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentry_sdk", sentry)
    monkeypatch.setattr(log, "find_spec", lambda _name: object())
    dsn = SecretStr("https://public@sentry.example/1")
    log.configure(
        Settings(_env_file=None, log_format="json", secret_key=SecretStr(CANARY), sentry_dsn=dsn), stream=lines
    )
    error = ValueError(CANARY)
    log.capture(error)
    sent = started["before_send"](
        {"exception": {"values": [{"value": f"x {CANARY}"}]}, "request": {"cookies": "a"}}, {}
    )
    assert captured == [error]
    assert CANARY not in str(sent)
    assert (started["send_default_pii"], started["include_local_variables"]) == (False, False)
