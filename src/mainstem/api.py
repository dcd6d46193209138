"""Every route of the HTTP API in one application, and the parts of a process that they work with."""

from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

import mainstem
from mainstem.accounts.account_routes import build_account_router
from mainstem.accounts.desk import Desk
from mainstem.accounts.invitation_routes import build_invitation_router
from mainstem.accounts.link_routes import build_ask_router, build_link_router
from mainstem.accounts.people_routes import build_people_router
from mainstem.accounts.sign_routes import build_sign_router
from mainstem.alerts.routes import build_router as alerts_router
from mainstem.alerts.rule_routes import build_rule_router
from mainstem.alerts.silence_routes import build_silence_router
from mainstem.assistant.chat.routes import build_router as chat_router
from mainstem.assistant.chat.turns import Turns
from mainstem.assistant.choose import model_of, named_by
from mainstem.assistant.mcp.door import McpDoor
from mainstem.assistant.registry import Registry
from mainstem.assistant.routes import build_router as tools_router
from mainstem.assistant.tools.all import all_tools
from mainstem.connectors.answers import sync_shape
from mainstem.connectors.erasing import KeptByConnectors
from mainstem.connectors.item_routes import build_item_router
from mainstem.connectors.routes import SYNC, build_inbox_router
from mainstem.connectors.routes import build_router as connectors_router
from mainstem.connectors.running import Connectors
from mainstem.connectors.sign_in_routes import build_sign_in_router
from mainstem.connectors.wiring import PATHS as CONNECTOR_PATHS
from mainstem.dashboard.routes import build_router as dashboard_router
from mainstem.dashboard.routes import warmer
from mainstem.dashboard.session import build_socket_router
from mainstem.features import METRICS
from mainstem.front.openapi import merge_into
from mainstem.hub import Hub
from mainstem.links.contract import PREFIX as LINK_TRACKING
from mainstem.links.contract import build_contract_router
from mainstem.links.contract import shape as link_tracking_shape
from mainstem.links.routes import build_router as links_router
from mainstem.links.settings_routes import build_settings_router
from mainstem.links.stats_routes import build_stats_router
from mainstem.pii.box import Keyring
from mainstem.platform import api_docs, health, http, metrics, minutes
from mainstem.platform.auth import require
from mainstem.platform.auth_routes import router as auth_router
from mainstem.platform.cache_routes import build_router as cache_router
from mainstem.platform.db import Pool
from mainstem.platform.settings import Settings
from mainstem.site.routes import build_router as site_router
from mainstem.subjects import build_router as subjects_router
from mainstem.tasks.desk import Desk as TaskDesk
from mainstem.tasks.more_routes import build_more_router
from mainstem.tasks.routes import build_router as tasks_router
from mainstem.tasks.rule_routes import build_rule_router as build_task_rule_router
from mainstem.webhooks.delivery_routes import build_delivery_router
from mainstem.webhooks.routes import build_router as webhooks_router
from mainstem.webhooks.trial import Tester

_DESCRIPTION: Final = (
    "One customer from click to visit to booking to order to follow-up, on one PostgreSQL.\n\n"
    "Send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Errors are problem+json (RFC 9457) "
    "with a stable `code` and the `request_id` to quote."
)


def create_api(settings: Settings) -> FastAPI:
    """Return the FastAPI application with every route; `attach` gives it the parts before the first request."""
    api = FastAPI(
        title="Mainstem", version=mainstem.__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None
    )
    http.install(api, settings, shapes={LINK_TRACKING: link_tracking_shape, SYNC: sync_shape})
    api_docs.install(api)

    def hub() -> Hub:
        found: Hub = api.state.hub
        return found

    def pool() -> Pool:
        return hub().pool

    def keyring() -> Keyring:
        return hub().services.sealer.keyring

    api.include_router(health.router(lambda: api.state.health))
    api.include_router(auth_router)
    _include_accounts(api, pool, lambda: hub().accounts)
    api.include_router(site_router(pool=pool, require=require, process=lambda tenant_id: hub().process(tenant_id)))
    api.include_router(
        subjects_router(pool=pool, keyring=keyring, require=require, kept=lambda: (KeptByConnectors(keyring()),))
    )
    for build in (build_stats_router, build_settings_router, links_router, build_contract_router):
        api.include_router(build(pool=pool, require=require, settings=settings))
    tester = Tester(pool, lambda: hub().outbound, keyring)
    api.include_router(
        webhooks_router(pool=pool, require=require, settings=settings, keyring=keyring, send_test=tester)
    )
    api.include_router(build_delivery_router(pool=pool, require=require, settings=settings, keyring=keyring))
    api.include_router(dashboard_router(pool=pool, require=require, cache=lambda: hub().cache, window=minutes.window))
    api.include_router(
        build_socket_router(
            live=lambda: api.state.live, authenticator=lambda: hub().services.authenticator, settings=settings
        )
    )
    measured = {metric.name: metric for metric in METRICS}
    api.include_router(
        build_rule_router(pool=pool, require=require, metrics=measured, teller=lambda: hub().alerting.teller)
    )
    api.include_router(build_silence_router(pool=pool, require=require))
    api.include_router(alerts_router(pool=pool, require=require))
    api.include_router(cache_router(cache=lambda: hub().cache, require=require))

    def traders() -> Connectors:
        return hub().connectors

    api.include_router(build_inbox_router(settings=settings, connectors=traders, paths=CONNECTOR_PATHS))
    api.include_router(connectors_router(pool=pool, require=require, connectors=traders))
    desk = TaskDesk(pool, lambda: hub().services.sealer, settings.timezone)
    api.include_router(build_more_router(desk=desk, require=require))
    api.include_router(tasks_router(desk=desk, require=require))
    api.include_router(build_task_rule_router(pool=pool, require=require))
    api.include_router(build_item_router(pool=pool, require=require, connectors=traders))
    api.include_router(build_sign_in_router(require=require, connectors=traders))
    api.include_router(tools_router(pool=pool, require=require, registry=lambda: api.state.registry))
    api.include_router(chat_router(pool=pool, turns=lambda: api.state.turns))
    _include_mcp(api, settings)
    if settings.metrics_enabled:
        api.include_router(metrics.router())

    @api.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    plain_openapi = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = merge_into(http.document_errors(plain_openapi()))
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for changing the schema
    return api


def _include_accounts(api: FastAPI, pool: Callable[[], Pool], desk: Callable[[], Desk]) -> None:
    api.include_router(build_sign_router(pool=pool, desk=desk))
    api.include_router(build_ask_router(desk=desk))
    api.include_router(build_link_router(desk=desk))
    api.include_router(build_account_router(pool=pool, desk=desk))
    api.include_router(build_invitation_router(pool=pool, desk=desk, require=require))
    api.include_router(build_people_router(pool=pool, require=require))


def _include_mcp(api: FastAPI, settings: Settings) -> None:
    if settings.mcp_enabled:
        api.state.mcp = McpDoor(lambda: api.state.registry, settings)
        # first, for each route before it is tried in vain, and none of them has its paths
        api.router.routes[:0] = api.state.mcp.routes()


def attach(api: FastAPI, hub: Hub) -> None:
    """Give an application the parts of its process."""
    api.state.hub = hub
    api.state.api_pool = hub.pool
    api.state.settings = hub.services.settings
    api.state.authenticator = hub.services.authenticator
    api.state.limiter = hub.services.limiter
    api.state.registry = registry_of(hub)
    api.state.turns = Turns(
        pool=lambda: hub.pool,
        registry=api.state.registry,
        model=model_of(hub.services.settings),
        limiter=hub.services.limiter,
        settings=hub.services.settings,
        named=named_by,
    )
    warm = warmer(pool=lambda: hub.pool, cache=lambda: hub.cache, window=minutes.window)
    hub.cache.members.warm_by("dashboard", warm)


def registry_of(hub: Hub) -> Registry:
    """Return the tools of a process: chat, REST and MCP have the same."""
    sealer = hub.services.sealer
    tools = all_tools(
        connectors=lambda: hub.connectors, keyring=lambda: sealer.keyring, subjects=lambda: sealer.subjects
    )
    return Registry(tools, lambda: hub.pool, zone=ZoneInfo(hub.services.settings.timezone))
