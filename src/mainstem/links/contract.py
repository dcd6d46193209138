"""The link-tracking part of the tracking-ingest contract (CONTRACTS part A): look up, create, analytics, deactivate.

Errors have the contract's own shape: `{"error": …}` with `code` and `request_id`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from mainstem.links import stats, store
from mainstem.links.models import Url, Word
from mainstem.links.routes import base_of, scope_of
from mainstem.platform.auth import Caller, check_scope, identify
from mainstem.platform.calendar import Bots, Step
from mainstem.platform.clock import rfc3339, utc_now
from mainstem.platform.db import Pool, transaction
from mainstem.platform.errors import ForbiddenError, GoneError, MainstemError, NotFoundError
from mainstem.platform.settings import Settings

PREFIX: Final = "/api/link-tracking"
_NOT_FOUND: Final = "Tracking ID not found"
_DAYS: Final = timedelta(days=30)


_REFUSAL: Final[dict[str, Any]] = {
    "description": "An error in the shape of the contract.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("error", "code", "request_id", "field")},
                "required": ["error", "code", "request_id"],
            }
        }
    },
}


class LookupOut(BaseModel):
    """Where a link leads."""

    tracking_id: str
    destination_url: str
    link_function: str | None


class CreateIn(BaseModel):
    """A new link in the words of the contract."""

    original_url: Url
    link_function: Word = Field(min_length=1)
    link_type: Word | None = None
    description: Annotated[str, Field(max_length=1_000)] | None = None
    job_id: Word | None = None
    application_id: Word | None = None


def shape(error: MainstemError, request_id: str) -> dict[str, object]:
    """Return an error as the clients of this contract know it."""
    told: dict[str, object] = {"error": error.detail, "code": error.code, "request_id": request_id}
    return told if error.field is None else {**told, "field": error.field}


def build_contract_router(
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]], settings: Settings
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=PREFIX, tags=["links"], responses={"default": _REFUSAL})
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type

    @router.get("/lookup/{tracking_id}", summary="Where a link leads")
    async def lookup(caller: Annotated[Caller, Depends(_looker)], tracking_id: str) -> LookupOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await _link(connection, caller.tenant_id, tracking_id)
        if not row["active"]:
            raise GoneError("Link is inactive", code="link_inactive")
        return LookupOut(
            tracking_id=row["tracking_id"], destination_url=row["target_url"], link_function=row["link_function"]
        )

    @router.post("/create", status_code=201, summary="Make a link")
    async def create(caller: Admin, request: Request, body: CreateIn) -> dict[str, Any]:
        given = {"target_url": body.original_url, **body.model_dump(exclude={"original_url"}, exclude_none=True)}
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            made = (await store.create(connection, scope_of(caller, request, settings), [given]))[0]
            if isinstance(made, MainstemError):
                raise made
            row = (await store.read(connection, caller.tenant_id, [made]))[0]
        base = base_of(request, settings)
        return {
            "success": True,
            "tracking_id": row["tracking_id"],
            "redirect_url": f"{base}/track/{row['tracking_id']}",
            "short_url": f"{base}/{row['slug']}",
            "original_url": row["target_url"],
            "link_function": row["link_function"],
            "link_type": row["link_type"],
            "description": row["description"],
            "job_id": row["job_id"],
            "application_id": row["application_id"],
            "created_at": rfc3339(row["created_at"]),
        }

    @router.get("/analytics/{tracking_id}", summary="Clicks of a link: in all, and of the last 30 days")
    async def analytics(caller: Reader, tracking_id: str) -> dict[str, Any]:
        now = utc_now()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await _link(connection, caller.tenant_id, tracking_id)
            key = stats.key_of(caller.tenant_id, row["tracking_id"])
            start, end = now - _DAYS, now
            points = await stats.series(
                connection, caller.tenant_id, key, start, end, step=Step.DAY, zone="UTC", bots=Bots.EXCLUDE
            )
            tops = {
                name: await stats.top(
                    connection, caller.tenant_id, key, name, start.date(), end.date(), bots=Bots.EXCLUDE, limit=10
                )
                for name in ("referrer", "source", "device", "country")
            }
        return {
            "success": True,
            "tracking_id": row["tracking_id"],
            "destination_url": row["target_url"],
            "total_clicks": row["clicks"],
            "bot_clicks": row["bot_clicks"],
            "unique_visitors": sum(point.visitors for point in points),
            "last_clicked_at": None if row["last_clicked_at"] is None else rfc3339(row["last_clicked_at"]),
            "clicks_by_day": [{"date": f"{point.at:%F}", "clicks": point.clicks} for point in points],
            **{
                f"top_{name}s": [{"value": value, "clicks": clicks} for value, clicks in found]
                for name, found in tops.items()
            },
            "timestamp": rfc3339(now),
        }

    @router.post("/deactivate/{tracking_id}", summary="Switch a link off")
    async def deactivate(caller: Admin, request: Request, tracking_id: str) -> dict[str, Any]:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await _link(connection, caller.tenant_id, tracking_id)
            done = await store.change(
                connection, scope_of(caller, request, settings), [(row["link_id"], {"active": False})]
            )
            if isinstance(done[0], MainstemError):
                raise done[0]
        return {"success": True, "tracking_id": row["tracking_id"], "active": False, "message": "Link deactivated"}

    return router


async def _looker(caller: Annotated[Caller, Depends(identify)], request: Request) -> Caller:
    """Let in whoever may send clicks or read."""
    try:
        check_scope(request, caller, "ingest")
    except ForbiddenError:
        check_scope(request, caller, "read")
    return caller


async def _link(connection: Any, tenant_id: int, tracking_id: str) -> Any:  # noqa: ANN401 - a record
    link_id = await store.find_tracking_id(connection, tenant_id, tracking_id.replace("\x00", ""))
    rows = [] if link_id is None else await store.read(connection, tenant_id, [link_id])
    if not rows:
        raise NotFoundError(_NOT_FOUND)
    return rows[0]
