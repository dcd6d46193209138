"""The connectors that the settings ask for: Tripleseat to Revel, and those of files. Here alone ends and core meet."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from mainstem.connectors.calling import Patience
from mainstem.connectors.connector import Connector, Notice, Read, Rules, Signature, Verify
from mainstem.connectors.first_mapping import mapping_at
from mainstem.connectors.generic.build import load
from mainstem.connectors.oauth import Access, Grant
from mainstem.connectors.revel.client import RevelClient
from mainstem.connectors.revel.desk import RevelRules, WriteApi
from mainstem.connectors.revel.orders import RevelSink
from mainstem.connectors.sign_in import SignIn
from mainstem.connectors.tokens import SealedStore
from mainstem.connectors.tripleseat.client import LOGIN_URL, TripleseatSource
from mainstem.connectors.tripleseat.parse import UnreadableError, booking_of
from mainstem.connectors.tripleseat.signature import Fault, verify
from mainstem.connectors.tripleseat.webhook import parse
from mainstem.platform.outbound import Outbound
from mainstem.platform.settings import Settings, SettingsError

NAME: Final = "tripleseat"
PREFIX: Final = "Triple Seat_"
PATHS: Final = ("/webhooks/tripleseat", "/webhook")
_FAULTS: Final = {
    Fault.SIGNING_KEY_NOT_CONFIGURED: Signature.NO_KEY,
    Fault.MISSING_SIGNATURE_HEADER: Signature.MISSING,
    Fault.MALFORMED_SIGNATURE_HEADER: Signature.MALFORMED,
    Fault.MISMATCH: Signature.MISMATCH,
    Fault.TOO_OLD: Signature.TOO_OLD,
    Fault.TOO_NEW: Signature.TOO_NEW,
}
log = structlog.get_logger(__name__)


def connectors_of(settings: Settings, outbound: Outbound) -> list[Connector]:
    """Return the connectors that the settings ask for; one that is switched off is there and says so.

    Raises SettingsError for a file that can't be used, and for two connectors of one name.
    """
    found = [tripleseat_to_revel(settings, outbound)]
    for file in settings.connector_files:
        try:
            made = load(Path(file), outbound, os.environ)
            found.append(replace(made, kept_most=settings.connector_kept_most))
        except OSError as error:
            raise SettingsError([f"CONNECTOR_FILES: {file}: {error.strerror}."]) from error
        if found[-1].name in {one.name for one in found[:-1]}:
            raise SettingsError([f"CONNECTOR_FILES: {file}: there is a connector {found[-1].name} already."])
    return found


def missing_settings(settings: Settings) -> list[str]:
    """Return the names of settings without which the connector can't work."""
    needed = {
        "TRIPLESEAT_OAUTH_CLIENT_ID": settings.tripleseat_oauth_client_id,
        "TRIPLESEAT_OAUTH_CLIENT_SECRET": settings.tripleseat_oauth_client_secret,
        "REVEL_BASE_URL": settings.revel_base_url,
        "REVEL_API_KEY": settings.revel_api_key,
        "REVEL_API_SECRET": settings.revel_api_secret,
        "REVEL_ESTABLISHMENT_ID": settings.revel_establishment_id,
    }
    return [name for name, value in needed.items() if not value]


def tripleseat_to_revel(settings: Settings, outbound: Outbound) -> Connector:
    """Return the connector of Tripleseat's bookings to Revel's orders."""
    zone = ZoneInfo(settings.connector_timezone or settings.timezone)
    lacking = missing_settings(settings)
    if settings.enable_connector and lacking:
        log.error("connector_incomplete", connector=NAME, missing=lacking)
    sink = _revel(settings, outbound, zone)
    store = SealedStore(NAME) if settings.tripleseat_oauth_grant == Grant.AUTHORIZATION_CODE else None
    source = _tripleseat(settings, outbound, zone, store)
    return Connector(
        name=NAME,
        tenant=settings.connector_tenant or settings.default_tenant,
        source=source,
        sink=sink,
        verify=verifier(settings),
        read=reader(zone),
        products=sink.products,
        sign_in=None if store is None else _sign_in(settings, source, store),
        first_mapping=_first_mapping(settings, outbound),
        enabled=settings.enable_connector and not lacking,
        dry_run=settings.dry_run,
        paths=PATHS,
        rules=Rules(
            establishment=settings.revel_establishment_id or "",
            site_id=settings.tripleseat_site_id,
            locations=frozenset(settings.allowed_locations),
            statuses=frozenset(status.upper() for status in settings.connector_statuses),
            zone=settings.connector_timezone,
            fallback_zone=settings.timezone,
            prefix=PREFIX,
            on_change=settings.connector_on_change,
            on_cancel=settings.connector_on_cancel,
        ),
        mail_to=tuple(settings.connector_mail_to),
        budget_s=settings.connector_budget_seconds,
        settle=timedelta(seconds=settings.connector_settle_seconds),
        lease=timedelta(seconds=settings.connector_lease_seconds),
        every=timedelta(minutes=settings.connector_interval_minutes),
        look_back=timedelta(hours=settings.connector_look_back_hours),
        concurrency=settings.connector_concurrency,
        kept_most=settings.connector_kept_most,
    )


def _first_mapping(settings: Settings, outbound: Outbound) -> Callable[[], Awaitable[str]] | None:
    """Return what reads CONNECTOR_MAPPING, a file or an address."""
    place = settings.connector_mapping
    return None if place is None else mapping_at(place, outbound, "CONNECTOR_MAPPING")


def verifier(settings: Settings) -> Verify:
    """Return what judges signatures of Tripleseat by the settings."""
    key = settings.tripleseat_webhook_signing_key
    secret = None if key is None else key.get_secret_value()
    bare = settings.tripleseat_signature_form == "bare"

    def judged(headers: Mapping[str, str], body: bytes, now: datetime) -> Signature:
        verdict = verify(headers.get("x-signature"), body, secret, now.timestamp(), allow_bare=bare)
        return Signature.VALID if verdict.fault is None else _FAULTS[verdict.fault]

    return judged


def reader(zone: ZoneInfo) -> Read:
    """Return what reads bodies of Tripleseat; times without a zone are of `zone`."""

    def read(body: bytes) -> Notice:
        told = parse(body)
        bookings = {}
        for event in told.events:
            try:
                one = booking_of(event, zone)
            except UnreadableError:
                continue
            if told.deletes:
                bookings[one.booking_id] = replace(one, deleted=True)
            elif one.status:
                # one without a status is a part of an event: the source is asked for the whole
                bookings[one.booking_id] = one
        return Notice(
            trigger=told.trigger,
            reason=None if told.reason is None else told.reason.value,
            booking_ids=told.event_ids,
            bookings=bookings,
            deleted=told.deletes,
        )

    return read


def _patience(settings: Settings) -> Patience:
    # all that is tried must have ended while the claim on the booking holds
    lease_s = settings.connector_lease_seconds
    return Patience(timeout_s=min(15.0, lease_s * 0.2), budget_s=min(40.0, lease_s * 0.5))


def _sign_in(settings: Settings, source: TripleseatSource, store: SealedStore) -> SignIn:
    login_url = settings.tripleseat_login_url or LOGIN_URL
    return SignIn(NAME, source.keeper, store, login_url, settings.tripleseat_redirect_uri or "")


def _tripleseat(settings: Settings, outbound: Outbound, zone: ZoneInfo, store: SealedStore | None) -> TripleseatSource:
    base_url = settings.tripleseat_base_url
    secret = settings.tripleseat_oauth_client_secret
    access = Access(
        token_url=settings.tripleseat_token_url or f"{base_url.rstrip('/')}/oauth2/token",
        client_id=settings.tripleseat_oauth_client_id or "",
        client_secret="" if secret is None else secret.get_secret_value(),
        grant=Grant(settings.tripleseat_oauth_grant),
        scope=settings.tripleseat_oauth_scope,
        redirect_uri=settings.tripleseat_redirect_uri,
    )
    return TripleseatSource.made(
        outbound,
        access,
        base_url=base_url,
        zone=zone,
        site_id=settings.tripleseat_site_id or "",
        store=store,
        patience=_patience(settings),
    )


def _revel(settings: Settings, outbound: Outbound, zone: ZoneInfo) -> RevelSink:
    key, secret = settings.revel_api_key, settings.revel_api_secret
    client = RevelClient.made(
        outbound,
        base_url=settings.revel_base_url or "",
        api_key="" if key is None else key.get_secret_value(),
        api_secret="" if secret is None else secret.get_secret_value(),
        patience=_patience(settings),
        calls_per_s=settings.revel_requests_per_second,
    )
    rules = RevelRules(
        zone=zone,
        prefix=PREFIX,
        write_api=WriteApi(settings.revel_write_api),
        dining_option=settings.revel_dining_option,
        payment_type=settings.revel_payment_type,
        user_id=settings.revel_user_id,
        station_id=settings.revel_station_id,
        cart_content_type=settings.revel_cart_content_type,
    )
    return RevelSink(client, rules)
