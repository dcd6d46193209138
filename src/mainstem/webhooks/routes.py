"""The webhooks API: endpoints, their secrets, tests of them, and the kinds of events there are."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from mainstem.events.catalogue import KINDS
from mainstem.pii.box import Keyring
from mainstem.platform.addresses import parse_networks
from mainstem.platform.auth import Caller
from mainstem.platform.db import Connection, Pool, transaction
from mainstem.platform.paging import PageQuery
from mainstem.platform.settings import Settings
from mainstem.webhooks import store
from mainstem.webhooks.answers import endpoint_fields, endpoint_out
from mainstem.webhooks.models import (
    EndpointIn,
    EndpointList,
    EndpointOut,
    EndpointPatch,
    EndpointSecretOut,
    Health,
    KindList,
    KindOut,
    RotateIn,
    TestOut,
)
from mainstem.webhooks.sign import message_id
from mainstem.webhooks.trial import SendTest, Trial

PREFIX: Final = "/api/v1/webhooks"
_FLAGS: Final = {"is_active", "active", "ssl_verify"}


def build_router(  # noqa: C901 - a list of routes
    *,
    pool: Callable[[], Pool],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    settings: Settings,
    keyring: Callable[[], Keyring],
    send_test: SendTest,
) -> APIRouter:
    """Return the routes; reading needs the scope read, changing admin."""
    router = APIRouter(prefix=PREFIX, tags=["webhooks"])
    Reader = Annotated[Caller, Depends(require("read"))]  # noqa: N806 - a type
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    def scope_of(caller: Caller) -> store.Scope:
        return scope(settings, keyring(), tenant_id=caller.tenant_id, by=caller.subject)

    @router.get("", summary="List endpoints")
    async def list_webhooks(
        caller: Reader,
        page: PageQuery,
        is_active: Annotated[bool | None, Query()] = None,
        health_status: Annotated[Health | None, Query()] = None,
    ) -> EndpointList:
        wanted = store.Filter(active=is_active, health=health_status)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            rows, total = await store.page(connection, caller.tenant_id, wanted, limit=page.limit, offset=page.offset)
        items = [endpoint_out(row) for row in rows]
        return EndpointList.model_validate({**page.answer(items, total), "webhooks": items})

    @router.post("", status_code=201, summary="Make an endpoint; its secret is shown this once")
    async def create(caller: Admin, body: EndpointIn) -> EndpointSecretOut:
        given = body.model_dump(exclude_unset=True, exclude=_FLAGS)
        active = body.wants_active is not False
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            made, secret = await store.create(connection, scope_of(caller), given, active=active)
            return await _with_secret(connection, caller.tenant_id, made, secret.shown)

    @router.get("/event-kinds", summary="The kinds of events that the product knows")
    async def event_kinds(caller: Reader) -> KindList:
        del caller
        return KindList(items=[KindOut(kind=one.pattern, meaning=one.meaning, sent_by=one.sent_by) for one in KINDS])

    @router.get("/{webhook_id}", summary="One endpoint")
    async def get(caller: Reader, webhook_id: int) -> EndpointOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            return endpoint_out(await store.read(connection, caller.tenant_id, webhook_id))

    async def changed(caller: Caller, webhook_id: int, body: EndpointPatch) -> EndpointOut:
        given = body.model_dump(exclude_unset=True, exclude=_FLAGS)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.change(connection, scope_of(caller), webhook_id, given)
            if body.wants_active is not None:
                await store.switch(connection, scope_of(caller), webhook_id, active=body.wants_active)
            return endpoint_out(await store.read(connection, caller.tenant_id, webhook_id))

    @router.put("/{webhook_id}", summary="Change an endpoint: what is absent stays")
    async def put(caller: Admin, webhook_id: int, body: EndpointPatch) -> EndpointOut:
        return await changed(caller, webhook_id, body)

    @router.patch("/{webhook_id}", summary="Change an endpoint, the same as PUT")
    async def patch(caller: Admin, webhook_id: int, body: EndpointPatch) -> EndpointOut:
        return await changed(caller, webhook_id, body)

    @router.delete("/{webhook_id}", status_code=204, summary="Delete an endpoint and its deliveries")
    async def delete(caller: Admin, webhook_id: int) -> None:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.delete(connection, scope_of(caller), webhook_id)

    async def switched(caller: Caller, webhook_id: int, *, active: bool) -> EndpointOut:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            await store.switch(connection, scope_of(caller), webhook_id, active=active)
            return endpoint_out(await store.read(connection, caller.tenant_id, webhook_id))

    @router.post("/{webhook_id}/enable", summary="Switch an endpoint on; what waited is sent")
    async def enable(caller: Admin, webhook_id: int) -> EndpointOut:
        return await switched(caller, webhook_id, active=True)

    @router.post("/{webhook_id}/disable", summary="Switch an endpoint off; what waits for it stays")
    async def disable(caller: Admin, webhook_id: int) -> EndpointOut:
        return await switched(caller, webhook_id, active=False)

    @router.post("/{webhook_id}/rotate-secret", summary="Make a new secret; the one before signs, too, for a while")
    async def rotate_secret(caller: Admin, webhook_id: int, body: RotateIn | None = None) -> EndpointSecretOut:
        wanted = body or RotateIn()
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            secret = await store.rotate(
                connection,
                scope_of(caller),
                webhook_id,
                grace=timedelta(hours=wanted.grace_hours),
                secret=wanted.secret,
                kind=wanted.signature,
            )
            return await _with_secret(connection, caller.tenant_id, webhook_id, secret.shown)

    @router.post("/{webhook_id}/test", summary="Send a test now, also to an endpoint that is switched off")
    async def test(caller: Admin, webhook_id: int) -> TestOut:
        return test_out(await send_test(caller.tenant_id, webhook_id, caller.subject))

    return router


def scope(settings: Settings, keyring: Keyring, *, tenant_id: int, by: str) -> store.Scope:
    """Return who changes endpoints, and by what rules."""
    return store.Scope(tenant_id, by, keyring, parse_networks(settings.outbound_allow), settings.webhook_endpoints_max)


def test_out(trial: Trial) -> TestOut:
    """Return what became of a test."""
    met = f"The endpoint answered {trial.status_code}" if trial.status_code is not None else "There was no answer"
    off = "" if trial.was_active else " The endpoint is switched off: events are not delivered to it."
    return TestOut(
        success=trial.succeeded,
        delivery_id=trial.delivery_id,
        message_id=message_id(trial.event_uid),
        is_active=trial.was_active,
        status_code=trial.status_code,
        duration_ms=trial.duration_ms,
        error=trial.error,
        response=trial.response,
        message=f"{met} after {trial.duration_ms:,} ms.{off}",
    )


async def _with_secret(connection: Connection, tenant_id: int, endpoint_id: int, secret: str) -> EndpointSecretOut:
    row = await store.read(connection, tenant_id, endpoint_id)
    fields: dict[str, Any] = {**endpoint_fields(row), "secret": secret}
    return EndpointSecretOut.model_validate(fields)
