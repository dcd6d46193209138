"""The REST door of the tools: list them, call one, read the log of calls."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from mainstem.assistant import calls
from mainstem.assistant.models import CallIn, CallLog, CallLogged, CallOut, ToolList, ToolOut
from mainstem.assistant.ports import ConfirmationNeeded, Denied, Done, Door, Failed, Outcome
from mainstem.assistant.registry import Registry
from mainstem.platform.auth import DOCUMENTED, Caller, identify, limit_management
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import ConflictError, ForbiddenError, MainstemError


async def anybody(request: Request, response: Response) -> Caller:
    """Return who calls; what they may do is for each tool to say. A public key may not call any."""
    caller = await identify(request)
    if caller.public:
        raise ForbiddenError("A public key sends events, and nothing else.")
    await limit_management(request, response, caller)
    return caller


class ToolError(MainstemError):
    """A tool could not be called."""

    code = "tool_failed"

    @classmethod
    def of(cls, failed: Failed) -> "ToolError":
        """Return how a call ended as the error that it is."""
        error = cls(failed.detail, field=failed.field, code=failed.code)
        error.status = failed.status
        return error


def build_router(
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    registry: Callable[[], Registry],
) -> APIRouter:
    """Return the routes; each tool has its own scope, the log needs admin."""
    router = APIRouter(prefix="/api/v1", tags=["assistant"])
    Anybody = Annotated[Caller, Depends(anybody)]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.get("/tools", summary="The tools that the caller may call", dependencies=list(DOCUMENTED))
    async def list_tools(caller: Anybody) -> ToolList:
        items = [ToolOut.of(tool) for tool in registry().for_caller(caller)]
        return ToolList(items=items, total=len(items))

    @router.post("/tools/{name}", summary="Call a tool", dependencies=list(DOCUMENTED))
    async def call_tool(caller: Anybody, name: str, body: CallIn) -> CallOut:
        """Do it and return its result. What asks first is answered with a question: repeat the call with its approval_id."""
        match await called(caller, name, body):
            case Done() as done:
                return CallOut(tool=done.tool, status="ok", result=done.data)
            case ConfirmationNeeded() as asked:
                return CallOut(
                    tool=asked.tool,
                    status="approval_needed",
                    approval_id=asked.approval_id,
                    question=asked.question,
                    expires_at=asked.expires_at,
                )
            case Failed() as failed:
                raise ToolError.of(failed)
            case Denied() as denied:
                raise ConflictError(f"{denied.tool} was denied.", code="approval_used")

    async def called(caller: Caller, name: str, body: CallIn) -> Outcome | Denied:
        if body.approval_id is None:
            return await registry().call(caller, name, body.arguments, door=Door.REST)
        only = (name, body.arguments)
        return await registry().approve(caller, body.approval_id, approved=True, door=Door.REST, only=only)

    @router.get("/assistant/calls", summary="Calls of tools, the latest first")
    async def list_calls(
        caller: Admin,
        tool: Annotated[str | None, Query(max_length=64, pattern=r"^[a-z_]*$")] = None,
        status: Annotated[str | None, Query(max_length=20, pattern=r"^[a-z]*$")] = None,
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> CallLog:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await calls.latest(
                connection, caller.tenant_id, before=before, tool=tool, status=status, limit=limit + 1
            )
        items = [CallLogged(**{**dict(row), "id": row["tool_call_id"]}) for row in rows[:limit]]
        return CallLog(items=items, next_before=items[-1].id if len(rows) > limit else None)

    return router
