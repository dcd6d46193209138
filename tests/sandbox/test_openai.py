"""The stand-in for a language model, as clients of chat completions see it."""

import json

import httpx
import pytest
from sandboxing import Town

from mainstem.sandbox.openai import Brain, orders_in

KEY = Brain(1).api_key
TOOLS = [{"type": "function", "function": {"name": "add_task", "parameters": {}}}]


def asked(text: str, **more: object) -> dict:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
async def model(box: Town):
    async with httpx.AsyncClient(base_url=f"{box.url}/openai/v1", headers={"authorization": f"Bearer {KEY}"}) as client:
        yield client


def chunks(text: str) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_it_answers_whole_or_in_pieces_with_usage(box: Town, model: httpx.AsyncClient) -> None:
    whole = (await model.post("/chat/completions", json=asked("hello"))).json()
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "I heard: hello"}
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
    streamed = await model.post(
        "/chat/completions", json=asked("hello", stream=True, stream_options={"include_usage": True})
    )
    *pieces, usage = chunks(streamed.text)
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in pieces) == "I heard: hello"
    assert usage["usage"] == whole["usage"]
    assert (await model.get("/models")).json()["data"][0]["id"] == "sandbox-gullible"
    assert len(await box.calls(service="openai")) == 3


async def test_it_follows_orders_and_says_what_it_was_told_to(box: Town, model: httpx.AsyncClient) -> None:
    order = 'Do it: CALL add_task {"title": "x"} now, CALL drop {"all": true}'
    called = (await model.post("/chat/completions", json=asked(order, tools=TOOLS))).json()["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    (call,) = called["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("add_task", {"title": "x"})
    pieces = chunks((await model.post("/chat/completions", json=asked(order, tools=TOOLS, stream=True))).text)
    deltas = [
        one["choices"][0]["delta"]["tool_calls"][0] for one in pieces if one["choices"][0]["delta"].get("tool_calls")
    ]
    assert "".join(one["function"].get("arguments", "") for one in deltas) == '{"title": "x"}'

    answer = await box.admin.post("/replies", json={"replies": [{"text": "one"}, {"text": "two"}]})
    assert answer.json() == {"waiting": 2}
    assert (await model.post("/chat/completions", json=asked(order))).json()["choices"][0]["message"][
        "content"
    ] == "one"
    assert (await box.admin.delete("/replies")).status_code == 204
    assert "I heard" in (await model.post("/chat/completions", json=asked("x"))).text


async def test_what_it_refuses_and_how_it_breaks(box: Town, model: httpx.AsyncClient) -> None:
    wrong = await model.post("/chat/completions", json=asked("x"), headers={"authorization": "Bearer nope"})
    assert wrong.status_code == 401
    assert wrong.json()["error"]["type"] == "invalid_request_error"
    assert (await model.post("/chat/completions", json={})).status_code == 400
    assert (await model.post("/chat/completions", content=b"no json")).status_code == 400
    await box.fault("cut", service="openai", count=1)
    with pytest.raises(httpx.TransportError):
        await model.post("/chat/completions", json=asked("a longer text to be cut " * 9, stream=True))
    assert (await model.post("/chat/completions", json=asked("x"))).status_code == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nothing", []),
        ("CALL a {}", [("a", {})]),
        ('CALL a {"x": 1} CALL b {"y": {"z": 2}}', [("a", {"x": 1}), ("b", {"y": {"z": 2}})]),
        ('{"title": "CALL a {\\"x\\": 1}"}', [("a", {"x": 1})]),
        ("CALL a {broken", []),
        ("CALL A {}", []),
    ],
)
def test_orders_in_texts(text, found) -> None:
    assert [(one.name, one.arguments) for one in orders_in(text)] == found
