"""The API of what links share: domains, campaigns, tags."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import asyncpg
from fastapi import APIRouter, Depends

from mainstem.links.models import (
    CampaignIn,
    CampaignList,
    CampaignOut,
    CampaignPatch,
    DomainIn,
    DomainList,
    DomainOut,
    DomainPatch,
    TagList,
    TagOut,
    TagRename,
)
from mainstem.links.targets import safe_target
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, load_queries, transaction
from mainstem.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from mainstem.platform.settings import Settings
from mainstem.platform.web.urls import UTM_NAMES

_sql: Final = load_queries("mainstem.links")
_ID: Final = 2**31


def build_settings_router(  # noqa: C901, PLR0915 - a list of routes
    *, pool: Callable[[], Pool], require: Callable[[str], Callable[..., Awaitable[Caller]]], settings: Settings
) -> APIRouter:
    """Return the routes; reading needs the scope read, changing admin."""
    router = APIRouter(prefix="/api/v1", tags=["links"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type
    schemes = settings.link_schemes

    @router.get("/domains", summary="Your domains for links")
    async def domains(caller: Reader) -> DomainList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await connection.fetch(_sql["domains"], caller.tenant_id)
        return DomainList(items=[_domain(row) for row in rows])

    @router.post("/domains", status_code=201, summary="Add a domain")
    async def add_domain(caller: Admin, body: DomainIn) -> DomainOut:
        urls = _urls(body, schemes)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await connection.fetchrow(_sql["insert_domain"], caller.tenant_id, body.host, *urls)
        if row is None:
            raise ConflictError(f"{body.host} is taken.", field="host", code="domain_taken")
        return _domain(row)

    @router.patch("/domains/{domain_id}", summary="Change a domain")
    async def change_domain(caller: Admin, domain_id: int, body: DomainPatch) -> DomainOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            known = await _one(connection, "domain", caller.tenant_id, domain_id)
            given = body.model_dump(exclude_unset=True)
            urls = _urls(
                DomainPatch(**{**_domain(known).model_dump(include=set(DomainPatch.model_fields)), **given}), schemes
            )
            row = await connection.fetchrow(_sql["update_domain"], caller.tenant_id, domain_id, *urls)
        return _domain(_found(row, "domain", domain_id))

    @router.delete("/domains/{domain_id}", status_code=204, summary="Remove a domain without links")
    async def remove_domain(caller: Admin, domain_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            known = await _one(connection, "domain", caller.tenant_id, domain_id)
            if await connection.fetchval(_sql["domain_in_use"], caller.tenant_id, known["host"]):
                raise ConflictError("The domain still has links; delete or move them first.", code="domain_in_use")
            await connection.execute(_sql["delete_domain"], caller.tenant_id, domain_id)

    @router.get("/campaigns", summary="Your campaigns")
    async def campaigns(caller: Reader) -> CampaignList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await connection.fetch(_sql["campaigns"], caller.tenant_id)
        return CampaignList(items=[_campaign(row) for row in rows])

    @router.post("/campaigns", status_code=201, summary="Add a campaign")
    async def add_campaign(caller: Admin, body: CampaignIn) -> CampaignOut:
        values = [_text(getattr(body, name)) for name in ("name", *UTM_NAMES)]
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            row = await connection.fetchrow(_sql["insert_campaign"], caller.tenant_id, *values)
        if row is None:
            raise ConflictError(f"There is a campaign {body.name}.", field="name", code="campaign_taken")
        return _campaign(row)

    @router.patch("/campaigns/{campaign_id}", summary="Change a campaign; its links follow at once")
    async def change_campaign(caller: Admin, campaign_id: int, body: CampaignPatch) -> CampaignOut:
        try:
            async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
                known = await _one(connection, "campaign", caller.tenant_id, campaign_id)
                made = {**dict(known), **body.model_dump(exclude_unset=True)}
                if made["name"] is None:
                    raise InvalidFieldError("name can't be removed.", field="name")
                values = [_text(made[name]) for name in ("name", *UTM_NAMES)]
                archived = bool(made["archived"])
                row = await connection.fetchrow(
                    _sql["update_campaign"], caller.tenant_id, campaign_id, *values, archived
                )
        except asyncpg.UniqueViolationError:
            raise ConflictError("There is a campaign of that name.", field="name", code="campaign_taken") from None
        return _campaign(_found(row, "campaign", campaign_id))

    @router.delete("/campaigns/{campaign_id}", status_code=204, summary="Remove a campaign without links")
    async def remove_campaign(caller: Admin, campaign_id: int) -> None:
        try:
            async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
                await _one(connection, "campaign", caller.tenant_id, campaign_id)
                await connection.execute(_sql["delete_campaign"], caller.tenant_id, campaign_id)
        except asyncpg.ForeignKeyViolationError:
            raise ConflictError("The campaign still has links; archive it instead.", code="campaign_in_use") from None

    @router.get("/tags", summary="Your tags, those of most links first")
    async def tags(caller: Reader) -> TagList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows = await connection.fetch(_sql["tags"], caller.tenant_id)
        return TagList(items=[TagOut(**dict(row)) for row in rows])

    @router.patch("/tags/{name}", summary="Rename a tag")
    async def rename_tag(caller: Admin, name: str, body: TagRename) -> TagList:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            _changed(
                await connection.execute(_sql["rename_tag"], caller.tenant_id, _text(name), _text(body.name)), name
            )
            rows = await connection.fetch(_sql["tags"], caller.tenant_id)
        return TagList(items=[TagOut(**dict(row)) for row in rows])

    @router.delete("/tags/{name}", status_code=204, summary="Take a tag off all links")
    async def remove_tag(caller: Admin, name: str) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            _changed(await connection.execute(_sql["remove_tag"], caller.tenant_id, _text(name)), name)

    return router


def _domain(row: asyncpg.Record) -> DomainOut:
    return DomainOut(**dict(row))


def _campaign(row: asyncpg.Record) -> CampaignOut:
    return CampaignOut(**dict(row))


async def _one(connection: Connection, what: str, tenant_id: int, id_: int) -> asyncpg.Record:
    if not 0 <= id_ < _ID:
        raise NotFoundError(f"There is no {what} {id_}.")
    return _found(await connection.fetchrow(_sql[what], tenant_id, id_), what, id_)


def _found(row: asyncpg.Record | None, what: str, id_: int) -> asyncpg.Record:
    if row is None:
        raise NotFoundError(f"There is no {what} {id_}.")
    return row


def _changed(status: str, name: str) -> None:
    if status == "UPDATE 0":
        raise NotFoundError(f"There is no tag {name}.")


def _text(text: str | None) -> str | None:
    """Return a text as PostgreSQL takes it."""
    return None if text is None else text.replace("\x00", "")


def _urls(body: Any, schemes: list[str]) -> list[str | None]:  # noqa: ANN401 - DomainIn or DomainPatch
    names = ("root_url", "missing_url", "expired_url")
    values = {name: getattr(body, name) for name in names}
    return [None if values[name] is None else safe_target(values[name], schemes, field=name) for name in names]
