"""The HTTP kit: ids, headers, access lines, error answers in every shape, CORS, paging."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
import structlog
from fastapi import FastAPI, Header, WebSocket
from fastapi.responses import HTMLResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from mainstem.platform import http, log, metrics
from mainstem.platform.errors import ConflictError, MainstemError, NotFoundError, RateLimitedError, UnauthorizedError
from mainstem.platform.paging import PageQuery, Paging, paging
from mainstem.platform.problems import from_status, shape_for
from mainstem.platform.settings import Settings

CANARY = "canary-Zq7wX2mV9kLp4RtY8sNb3HcJ"
SETTINGS = Settings(
    _env_file=None,
    log_format="json",
    log_level="DEBUG",
    secret_key=SecretStr(CANARY),
    cors_origins=["https://app.example"],
)


class Order(BaseModel):
    """A body with something to get wrong."""

    page_url: str
    lines: list[int] = Field(default_factory=list, max_length=3)


def _old_shape(error: MainstemError, request_id: str) -> dict[str, object]:
    return {
        "success": False,
        "error": error.title(),
        "message": error.detail,
        "code": error.code,
        "request_id": request_id,
    }


SHAPES = {"/api/old": _old_shape}


def _application() -> FastAPI:  # noqa: C901 - one small route for each way to fail
    app = FastAPI()
    http.install(app, SETTINGS, shapes=SHAPES)

    @app.post("/orders")
    async def order(body: Order) -> Order:
        return body

    @app.get("/orders/{number}")
    async def one(number: int) -> int:
        return number

    @app.get("/boom")
    async def boom(password: str = "") -> None:
        raise RuntimeError(f"{CANARY} {password}")

    @app.get("/away")
    async def away() -> None:
        raise asyncpg.CannotConnectNowError(f"the database system is starting up {CANARY}")

    @app.get("/bug-in-a-file")
    async def missing_file() -> None:
        raise FileNotFoundError("/etc/x")

    @app.get("/things/{number}")
    @app.get("/api/old/{number}")
    @app.get("/api/older/{number}")
    async def thing(number: int, request: Request) -> None:
        http.note_tenant(request.scope, "acme")
        structlog.get_logger("x").info("inside")
        raise NotFoundError(f"Webhook {number} not found")

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("<p>")

    @app.get("/own-headers")
    async def own_headers() -> HTMLResponse:
        return HTMLResponse(
            "<p>", headers={"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": "default-src *"}
        )

    @app.get("/list")
    async def listed(page: PageQuery) -> dict[str, object]:
        return page.answer([], 41)

    @app.get("/old-style")
    async def old_style(status: int, key: Annotated[str | None, Header()] = None) -> None:
        raise HTTPException(status, headers={"X-Own": key} if key else None)

    @app.get("/cut")
    async def cut() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        structlog.get_logger("x").info("socket")
        await websocket.send_text(http.context_of(websocket.scope).request_id)
        await websocket.close()

    return app


@pytest.fixture(scope="module")
def application() -> FastAPI:
    """Return an application with one route for each way to fail."""
    return _application()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Yield the stream of JSON log lines; logging is put back afterwards."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    stream = io.StringIO()
    log.configure(SETTINGS, stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=["installed", "with an edge around it"])
async def client(
    application: FastAPI, request: pytest.FixtureRequest, lines: io.StringIO
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application, alone and as a hot path in front serves it."""
    alone = request.param == "installed"
    served: Any = application if alone else http.edge(application, SETTINGS, shapes=SHAPES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as found:
        yield found


def _events(stream: io.StringIO, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == event]


@pytest.mark.parametrize("given_id", ["abc", "A-1_b.c", "x" * 128])
async def test_a_sane_request_id_is_kept(client: httpx.AsyncClient, given_id: str) -> None:
    answer = await client.get("/nothing", headers={"X-Request-ID": given_id})
    assert answer.headers["x-request-id"] == given_id == answer.json()["request_id"]


@pytest.mark.parametrize("given_id", ["", "x" * 129, "a b", "a;b", "<script>", "ä", 'a"b'])
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, given_id: str) -> None:
    headers = {b"X-Request-ID": given_id.encode("latin-1")}
    answers = [await client.get("/nothing", headers=headers) for _ in range(2)]
    made = {answer.headers["x-request-id"] for answer in answers}
    assert len(made) == 2
    assert all(one.startswith("req-") for one in made)


async def test_every_answer_has_its_headers_once(client: httpx.AsyncClient) -> None:
    for path in ("/page", "/nothing", "/boom"):
        answer = await client.get(path)
        names = [name.lower() for name, _ in answer.headers.multi_items()]
        assert sorted(set(names)) == sorted(names)
        assert answer.headers["x-response-time"].endswith("ms")
        assert float(answer.headers["x-response-time"][:-2]) >= 0
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "referrer-policy" in answer.headers


async def test_pages_get_a_content_policy_and_a_route_may_choose_its_own(client: httpx.AsyncClient) -> None:
    assert "default-src 'self'" in (await client.get("/page")).headers["content-security-policy"]
    assert b"https:" not in (await client.get("/docs")).headers["content-security-policy"].encode()
    assert "content-security-policy" not in (await client.get("/list")).headers
    own = await client.get("/own-headers")
    assert (own.headers["x-frame-options"], own.headers["content-security-policy"]) == ("SAMEORIGIN", "default-src *")


async def test_an_error_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/3")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "/docs/errors#not_found",
        "title": "There is no such thing.",
        "status": 404,
        "detail": "Webhook 3 not found",
        "code": "not_found",
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_contracts_paths_keep_their_shape(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/old/3")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json()["success"] is False
    assert answer.json()["message"] == "Webhook 3 not found"
    wrong = await client.get("/api/old/x")
    assert (wrong.status_code, wrong.json()["message"][:6]) == (422, "number")
    assert (await client.get("/api/older/3")).headers["content-type"] == "application/problem+json"


async def test_a_wrong_payload_names_each_field_and_never_the_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", json={"page_url": {"password": CANARY}, "lines": [1, CANARY]})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["field"] == "page_url"
    assert problem["code"] == "invalid_field"
    assert [(one["field"], one["code"]) for one in problem["errors"]] == [
        ("page_url", "string_type"),
        ("lines[1]", "int_parsing"),
    ]
    assert problem["errors"][0]["message"] == "page_url should be a valid string."
    assert CANARY not in answer.text


async def test_the_body_may_be_missing_or_no_json(client: httpx.AsyncClient) -> None:
    json_type = {"Content-Type": "application/json"}
    assert (await client.post("/orders", json={})).json()["detail"] == "page_url is required."
    broken = await client.post("/orders", content=b'{"page_url":', headers=json_type)
    assert (broken.status_code, broken.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/orders", 405, "method_not_allowed"),
        ("GET", "/orders/x", 422, "invalid_field"),
        ("GET", "/old-style?status=401", 401, "unauthorized"),
        ("GET", "/old-style?status=429", 429, "rate_limited"),
        ("GET", "/old-style?status=418", 418, "http_error"),
        ("GET", "/old-style?status=503", 503, "unavailable"),
        ("GET", "/old-style?status=501", 501, "internal"),
        ("GET", "/boom", 500, "internal"),
        ("GET", "/bug-in-a-file", 500, "internal"),
        ("GET", "/away", 503, "unavailable"),
    ],
)
async def test_every_failure_is_a_problem_of_the_tree(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"/docs/errors#{code}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("allow" in answer.headers) == (status == 405)


async def test_headers_of_an_old_style_error_are_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/old-style?status=409", headers={"key": "v"})).headers["x-own"] == "v"


async def test_an_unexpected_error_tells_the_log_and_not_the_client(
    client: httpx.AsyncClient, lines: io.StringIO
) -> None:
    before = metrics.REGISTRY.get_sample_value("mainstem_errors_total", {"kind": "RuntimeError"}) or 0.0
    answer = await client.get(f"/boom?password={CANARY}", headers={"X-Request-ID": "abc"})
    assert answer.json()["detail"] == "Something went wrong; quote the request id."
    (event,) = _events(lines, "unexpected error")
    assert event["request_id"] == "abc"
    assert "RuntimeError" in event["exception"]
    assert metrics.REGISTRY.get_sample_value("mainstem_errors_total", {"kind": "RuntimeError"}) == before + 1
    shown = answer.text + str(answer.headers) + lines.getvalue() + metrics.render()[0].decode()
    assert CANARY not in shown


async def test_debug_shows_the_error(lines: io.StringIO) -> None:
    app = FastAPI()
    http.install(app, Settings(_env_file=None, debug=True))

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("here")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/boom")).json()["detail"] == "RuntimeError: here"
    assert lines.getvalue()


async def test_an_answer_cut_in_the_middle_is_not_made_to_look_whole(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/cut")


async def test_one_access_line_per_request(client: httpx.AsyncClient, lines: io.StringIO) -> None:
    await client.get(f"/things/3?token={CANARY}&page=2", headers={"Authorization": f"Bearer {CANARY}"})
    (line,) = _events(lines, "request")
    assert {
        "method": "GET",
        "path": "/things/3",
        "query": ["token", "page"],
        "status": 404,
        "tenant": "acme",
    }.items() <= line.items()
    assert line["ms"] >= 0
    (inside,) = _events(lines, "inside")
    assert inside["request_id"] == line["request_id"]
    assert CANARY not in lines.getvalue()


async def test_the_next_request_inherits_nothing(client: httpx.AsyncClient, lines: io.StringIO) -> None:
    await client.get("/things/3")
    await client.get("/nothing")
    first, second = _events(lines, "request")
    assert "tenant" in first
    assert "tenant" not in second
    assert first["request_id"] != second["request_id"]


async def test_a_forged_path_stays_one_line(client: httpx.AsyncClient, lines: io.StringIO) -> None:
    await client.get("/x%0d%0a%1b[2J%e2%80%a8forged")
    assert len(lines.getvalue().splitlines()) == 1
    assert _events(lines, "request")[0]["path"].startswith("/x\r\n")


async def test_requests_are_counted_under_their_template(client: httpx.AsyncClient) -> None:
    def count(route: str, status: str) -> float:
        labels = {"method": "GET", "route": route, "status": status}
        return metrics.REGISTRY.get_sample_value("mainstem_http_requests_total", labels) or 0.0

    before = count("/orders/{number}", "200"), count("unmatched", "404")
    for number in range(3):
        await client.get(f"/orders/{number}")
        await client.get(f"/nothing/{number}")
    assert (count("/orders/{number}", "200"), count("unmatched", "404")) == (before[0] + 3, before[1] + 3)


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    def count() -> float:
        labels = {"method": "HEAD", "route": "/orders/{number}", "status": "200"}
        return metrics.REGISTRY.get_sample_value("mainstem_http_requests_total", labels) or 0.0

    before = count()
    full, head = await client.get("/orders/1"), await client.head("/orders/1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"] != "0"
    assert count() == before + 1
    missing = await client.head("/nothing")
    assert (missing.status_code, missing.content) == (404, b"")


async def test_browsers_of_listed_origins_may_read_answers_and_errors(client: httpx.AsyncClient) -> None:
    for path in ("/list", "/nothing", "/boom"):
        answer = await client.get(path, headers={"Origin": "https://app.example"})
        assert answer.headers.get_list("access-control-allow-origin") == ["https://app.example"]
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        foreign = await client.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers


async def test_a_preflight_is_answered(client: httpx.AsyncClient) -> None:
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-customer-id",
    }
    answer = await client.options("/orders", headers=headers)
    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_every_site_with_cookies_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="CORS_ORIGINS must name its origins"):
        Settings(_env_file=None, cors_origins=["*"], cors_allow_credentials=True)


async def test_websockets_have_a_request_id_too(application: FastAPI, lines: io.StringIO) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": [(b"x-request-id", b"abc")]}
    await application(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == "abc"
    assert _events(lines, "socket")[0]["request_id"] == "abc"


async def test_a_hot_path_uses_the_same_kit(lines: io.StringIO) -> None:
    async def hot(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        context = http.context_of(scope)
        context.route, context.quiet = "/hot", True
        if scope["path"] == "/plain":
            await http.problem_response(send, ConflictError("Twice."), context.request_id)
        elif scope["path"] == "/raised":
            raise RateLimitedError(retry_after_s=7)
        else:
            await http.send_error(scope, send, UnauthorizedError("Invalid API token"))

    served = http.edge(hot, SETTINGS, shapes=SHAPES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
        plain, raised, shaped = [await client.post(path) for path in ("/plain", "/raised", "/api/old/x")]
    assert (plain.status_code, plain.json()["code"]) == (409, "conflict")
    assert (raised.status_code, raised.headers["retry-after"]) == (429, "7")
    assert (shaped.json()["message"], shaped.headers["www-authenticate"]) == ("Invalid API token", "Bearer")
    assert all(answer.headers["x-request-id"] == answer.json()["request_id"] for answer in (plain, raised, shaped))
    assert {line["level"] for line in _events(lines, "request")} == {"debug"}


def test_the_openapi_document_speaks_of_problems(application: FastAPI) -> None:
    document = http.document_errors(json.loads(json.dumps(application.openapi())))
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(document)
    responses = document["paths"]["/orders"]["post"]["responses"]
    assert sorted(responses) == ["200", "default"]
    assert list(responses["default"]["content"]) == ["application/problem+json"]


@given(status=st.integers(400, 599), detail=st.text() | st.none() | st.dictionaries(st.text(), st.integers()))
def test_every_status_has_an_error_and_5xx_tell_nothing(status: int, detail: object) -> None:
    error = from_status(status, detail)
    assert error.status == status
    assert error.detail
    if status >= 500 and status != 503:
        assert error.detail == MainstemError.title()


@given(
    st.lists(st.sampled_from(["/a", "/a/b", "/ab", "/a/b/c"]), unique=True),
    st.sampled_from(["/a/b/c/d", "/ab/c", "/a", "/x"]),
)
def test_the_longest_whole_prefix_wins(prefixes: list[str], path: str) -> None:
    shapes = {prefix: (lambda _error, _id, prefix=prefix: {"prefix": prefix}) for prefix in prefixes}
    fitting = [prefix for prefix in prefixes if path.split("/")[: len(prefix.split("/"))] == prefix.split("/")]
    found = shape_for(path, shapes)
    assert (found(MainstemError(), "")["prefix"] if found else None) == (max(fitting, key=len) if fitting else None)


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        ({}, 20, 0),
        ({"page": 3, "page_size": 10}, 10, 20),
        ({"limit": 50, "offset": 75}, 50, 75),
        ({"page": 2, "limit": 5}, 5, 5),
    ],
)
def test_both_ways_to_ask_for_a_page(query: dict[str, int], limit: int, offset: int) -> None:
    assert paging(**query) == Paging(limit, offset)


@given(page=st.integers(1, 10_000), size=st.integers(1, 500), total=st.integers(0, 10_000_000))
def test_pages_cover_everything_exactly(page: int, size: int, total: int) -> None:
    answer = paging(page=page, page_size=size).answer([], total)
    assert (answer["page"], answer["page_size"], answer["total"]) == (page, size, total)
    pages = answer["pages"]
    assert isinstance(pages, int)
    assert (pages - 1) * size < max(total, 1) <= pages * size


async def test_a_page_has_bounds(client: httpx.AsyncClient) -> None:
    assert (await client.get("/list?page=2&page_size=20")).json() == {
        "items": [],
        "total": 41,
        "page": 2,
        "page_size": 20,
        "pages": 3,
    }
    for query in ("page=0", "page_size=0", "page_size=501", "limit=x", "offset=-1", "page=99999999999999999999"):
        assert (await client.get(f"/list?{query}")).status_code == 422
