"""The registry: who may call what, what is refused and how, what is asked first, and that every call is written down."""

import asyncio
from datetime import timedelta
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from assistant.acting import key_caller, person, registry, sample_tools, tenant_of, writes

from mainstem.assistant import approvals, upkeep
from mainstem.assistant.ports import ConfirmationNeeded, Denied, Done, Failed
from mainstem.assistant.registry import Registry
from mainstem.platform.clock import utc_now
from mainstem.platform.settings import Settings


async def logged(connection) -> list[tuple]:
    rows = await connection.fetch(
        "select subject, door, tool, status, code, argument_names from assistant.tool_call order by tool_call_id"
    )
    return [tuple(row) for row in rows]


class TestWhoMayCall:
    async def test_the_list_is_sorted_and_has_what_the_scopes_allow(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        reader = key_caller(ann.tenant_id, "read")
        assert [tool.name for tool in tools.for_caller(ann)] == ["ask_write", "own_write", "write"]
        assert [tool.name for tool in tools.for_caller(reader)] == ["ask_write", "write"]
        assert len(tools.for_caller(await person(connection, "o@example.org", role="owner"))) == 4
        assert tools.for_caller(key_caller(ann.tenant_id, "read", public=True)) == []
        assert tools.for_caller(key_caller(ann.tenant_id, "ingest")) == []

    async def test_what_is_not_listed_is_refused_and_nothing_happens(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        reader = key_caller(ann.tenant_id, "read")
        for caller, name in ((ann, "admin_write"), (reader, "own_write")):
            outcome = await tools.call(caller, name, {"text": "x"}, door="mcp")
            assert isinstance(outcome, Failed)
            assert (outcome.code, outcome.status) == ("forbidden", 403)
        missing = await tools.call(ann, "nothing", {}, door="rest")
        assert isinstance(missing, Failed)
        assert missing.status == 404
        assert await writes(connection) == []

    def test_two_tools_of_one_name_are_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="one name"):
            Registry([*sample_tools(), sample_tools()[0]], lambda: None, zone=ZoneInfo("UTC"))


class TestArguments:
    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"text": ""},
            {"text": 7},
            {"text": "x", "user_id": "someone else"},
            {"text": "x", "fail": "yes"},
            {"text": "x" * 21},
            {"text": object()},
        ],
    )
    async def test_what_does_not_fit_is_refused_without_saying_what_it_was(self, api_pool, connection, given) -> None:
        outcome = await registry(api_pool).call(await person(connection), "write", given, door="rest")
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.status) == ("invalid_field", 422)
        assert "someone else" not in outcome.detail
        assert await writes(connection) == []


class TestCalls:
    async def test_a_call_runs_as_the_person_and_is_written_down_by_names_alone(self, api_pool, connection) -> None:
        ann = await person(connection)
        outcome = await registry(api_pool).call(ann, "own_write", {"text": "my secret"}, door="chat")
        assert isinstance(outcome, Done)
        assert outcome.data == {"text": "my secret", "person": str(ann.user_id)}
        assert await logged(connection) == [(ann.subject, "chat", "own_write", "ok", None, ["text"])]
        row = await connection.fetchrow("select t.*::text as told from assistant.tool_call t")
        assert "my secret" not in str(dict(row))

    async def test_what_breaks_undoes_everything_but_its_line_in_the_log(self, api_pool, connection) -> None:
        ann = await person(connection)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await registry(api_pool).call(ann, "write", {"text": "x", "fail": True}, door="mcp")
        assert await writes(connection) == []
        assert await logged(connection) == [(ann.subject, "mcp", "write", "failed", "internal", ["fail", "text"])]

    async def test_a_note_is_part_of_the_transaction(self, api_pool, connection) -> None:
        async def breaks(connection, outcome) -> None:
            assert isinstance(outcome, Done)
            await connection.execute("select 1/0")

        ann = await person(connection)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await registry(api_pool).call(ann, "write", {"text": "x"}, door="chat", note=breaks)
        assert await writes(connection) == []


class TestApprovals:
    async def test_what_asks_first_does_nothing_until_a_person_says_yes_once(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        asked = await tools.call(ann, "ask_write", {"text": "x"}, door="mcp")
        assert isinstance(asked, ConfirmationNeeded)
        assert asked.question == "Write x?"
        assert await writes(connection) == []
        done = await tools.approve(ann, asked.approval_id, approved=True, door="rest")
        assert isinstance(done, Done)
        again = await tools.approve(ann, asked.approval_id, approved=True, door="rest")
        assert isinstance(again, Failed)
        assert (again.code, again.status) == ("approval_used", 409)
        assert await writes(connection) == ["x"]
        assert [(tool, status) for _, _, tool, status, *_ in await logged(connection)] == [
            ("ask_write", "asked"),
            ("ask_write", "ok"),
        ]

    async def test_confirmed_by_a_person_it_is_done_at_once(self, api_pool, connection) -> None:
        outcome = await registry(api_pool).call(
            await person(connection), "ask_write", {"text": "x"}, door="mcp", confirmed=True
        )
        assert isinstance(outcome, Done)
        assert await writes(connection) == ["x"]

    async def test_of_twenty_who_say_yes_at_once_one_has_it_done(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        asked = await tools.call(ann, "ask_write", {"text": "x"}, door="chat")
        answers = await asyncio.gather(
            *(tools.approve(ann, asked.approval_id, approved=True, door="chat") for _ in range(20))
        )
        assert sum(isinstance(one, Done) for one in answers) == 1
        assert {one.code for one in answers if isinstance(one, Failed)} == {"approval_used"}

    async def test_no_means_no(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        asked = await tools.call(ann, "ask_write", {"text": "x"}, door="chat")
        assert await tools.approve(ann, asked.approval_id, approved=False, door="chat") == Denied("ask_write")
        assert isinstance(await tools.approve(ann, asked.approval_id, approved=True, door="chat"), Failed)
        assert await writes(connection) == []
        assert [row[3] for row in await logged(connection)] == ["asked", "denied"]

    async def test_it_is_bound_to_who_asked_to_the_tool_and_to_the_arguments(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        others = [
            await person(connection, "bob@example.org"),
            key_caller(ann.tenant_id, "admin"),
            await person(connection, "eve@example.org", role="owner"),
        ]
        asked = await tools.call(ann, "ask_write", {"text": "x"}, door="rest")
        for other in others:
            outcome = await tools.approve(other, asked.approval_id, approved=True, door="rest")
            assert isinstance(outcome, Failed)
            assert outcome.status == 404
        for only in (
            ("write", {"text": "x"}),
            ("ask_write", {"text": "y"}),
            ("ask_write", {"text": "x", "fail": False}),
        ):
            outcome = await tools.approve(ann, asked.approval_id, approved=True, door="rest", only=only)
            assert isinstance(outcome, Failed)
            assert outcome.code == "approval_of_another_call"
        assert await writes(connection) == []
        same = ("ask_write", {"text": " x "})
        assert isinstance(await tools.approve(ann, asked.approval_id, approved=True, door="rest", only=same), Done)

    async def test_it_expires(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        asked = await tools.call(ann, "ask_write", {"text": "x"}, door="rest")
        later = Registry(
            sample_tools(), lambda: api_pool, zone=ZoneInfo("UTC"), clock=lambda: utc_now() + approvals.LIFETIME
        )
        outcome = await later.approve(ann, asked.approval_id, approved=True, door="rest")
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.status) == ("approval_expired", 410)
        assert await writes(connection) == []

    async def test_scopes_are_looked_at_again_when_it_is_done(self, api_pool, connection) -> None:
        tools = registry(api_pool)
        tenant_id = await tenant_of(connection)
        asked = await tools.call(key_caller(tenant_id, "read"), "ask_write", {"text": "x"}, door="rest")
        outcome = await tools.approve(key_caller(tenant_id, "ingest"), asked.approval_id, approved=True, door="rest")
        assert isinstance(outcome, Failed)
        assert outcome.status == 403
        assert await writes(connection) == []

    async def test_the_sweep_takes_old_calls_and_approvals(self, api_pool, worker_pool, connection) -> None:
        tools = registry(api_pool)
        ann = await person(connection)
        await tools.call(ann, "ask_write", {"text": "x"}, door="rest")
        settings = Settings(_env_file=None, tool_log_days=3)
        async with worker_pool.acquire() as worker:
            assert await upkeep.prune(worker, settings, utc_now() + timedelta(hours=1)) == 0
            assert await upkeep.prune(worker, settings, utc_now() + timedelta(days=4)) == 2
