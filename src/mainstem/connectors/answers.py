"""Rows and reports as answers of the API."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from mainstem.connectors.models import (
    DeliveryOut,
    DifferenceOut,
    DiffOut,
    ItemOut,
    OrderOut,
    RunOut,
    Summary,
    SyncEvent,
    SyncOut,
)
from mainstem.connectors.runs import Report
from mainstem.platform.errors import MainstemError


def sync_out(report: Report) -> SyncOut:
    """Return a run as the sync's answer."""
    return SyncOut(
        success=report.success,
        mode="single" if report.mode == "single" else "bulk",
        summary=Summary(**report.summary),
        events=[SyncEvent(**event) for event in report.events],
        run_id=report.run_id,
        correlation_id=report.correlation_id,
        dry_run=report.dry_run,
        error=report.error,
        differences=len(report.differences),
    )


def sync_failed(mode: str, error: str, *, dry_run: bool) -> SyncOut:
    """Return the answer of a sync that did not begin."""
    return SyncOut(
        success=False,
        mode="single" if mode == "single" else "bulk",
        summary=Summary(),
        events=[],
        run_id=None,
        correlation_id=None,
        dry_run=dry_run,
        error=error,
    )


def sync_shape(error: MainstemError, request_id: str) -> dict[str, object]:
    """Return an error of the sync's callers as its clients know it: all keys are there."""
    out = SyncOut(
        success=False,
        mode="error",
        summary=Summary(),
        events=[],
        run_id=None,
        correlation_id=request_id,
        dry_run=False,
        error=error.detail,
    )
    return {**out.model_dump(), "code": error.code, "request_id": request_id}


def run_out(row: asyncpg.Record) -> RunOut:
    """Return a run."""
    told = dict(row)
    return RunOut(
        id=told["run_id"],
        summary=Summary(**{name: told[name] for name in ("queried", "injected", "skipped", "failed")}),
        **{name: told[name] for name in RunOut.model_fields if name in told},
    )


def diff_out(found: tuple[asyncpg.Record, Sequence[asyncpg.Record]] | None) -> DiffOut:
    """Return what a run found to differ."""
    if found is None:
        return DiffOut(run=None, counts={}, items=[], events=[])
    row, differences = found
    events: list[dict[str, Any]] = json.loads(row["events"])
    return DiffOut(
        run=run_out(row),
        counts=dict(Counter(one["kind"] for one in differences)),
        items=[DifferenceOut(**dict(one)) for one in differences],
        events=events,
    )


def order_out(row: asyncpg.Record) -> OrderOut:
    """Return a row of the ledger."""
    told = dict(row)
    return OrderOut(
        id=told["order_key"],
        date=told["takes_place_on"],
        revel_order_id=told["order_id"],
        total=told["sink_total"],
        **{name: told[name] for name in OrderOut.model_fields if name in told},
    )


def delivery_out(row: asyncpg.Record) -> DeliveryOut:
    """Return a delivery."""
    told: Mapping[str, Any] = {**dict(row), "body_sha256": row["body_sha256"].hex()}
    return DeliveryOut(
        id=told["delivery_id"], **{name: told[name] for name in DeliveryOut.model_fields if name in told}
    )


def item_out(row: asyncpg.Record) -> ItemOut:
    """Return an entry of the mapping."""
    return ItemOut(
        item=row["item"],
        product=row["product"],
        product_name=row["product_name"],
        ignore=row["product"] is None,
        changed_by=row["changed_by"],
        changed_at=row["changed_at"],
    )
