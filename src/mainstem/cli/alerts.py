"""`mainstem alerts`: what is wrong, who knows, what is silenced, and the rules, from the command line."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mainstem.cli.context import DataDir, Json, TenantSlug, print_json, print_table, with_connection
from mainstem.cli.failures import CliError

if TYPE_CHECKING:
    from mainstem.alerts.labels import Matcher
    from mainstem.platform.db import Connection

app = typer.Typer(help="Alerts, silences and rules.", no_args_is_help=True)

_COLUMNS: Final = ["id", "severity", "alert_type", "status", "message", "created_at", "acknowledged_by"]
_SILENCE_COLUMNS: Final = ["id", "status", "matchers", "ends_at", "created_by", "comment"]
_RULE_COLUMNS: Final = ["id", "name", "state", "metric", "comparison", "threshold", "for_seconds", "severity"]
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d{1,6})([smhdw])")
_MATCHER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(!?=)(.*)", re.DOTALL)
_LISTED: Final = 50
_MOST_NOTES: Final = 500
_MOST_COMMENT: Final = 1_000


@app.command("list")
def list_(
    tenant: TenantSlug = "default",
    *,
    status: Annotated[
        str, typer.Option(help="open, firing, acknowledged, resolved, pending, delivered, failed, or all.")
    ] = "open",
    severity: Annotated[str | None, typer.Option(help="CRITICAL, WARNING or INFO.")] = None,
    limit: Annotated[int, typer.Option(help="Most alerts.", min=1, max=10_000)] = _LISTED,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List alerts, the newest first."""

    async def action(connection: "Connection") -> list[dict[str, Any]]:
        from mainstem.alerts import store
        from mainstem.alerts.models import AlertOut
        from mainstem.alerts.routes import wanted_of
        from mainstem.platform.clock import utc_now

        tenant_id = await _tenant(connection, tenant)
        wanted = wanted_of(None if status == "all" else status, severity)
        found, _ = await store.page(connection, tenant_id, wanted, limit=limit, offset=0)
        silences = await store.active_silences(connection, tenant_id, utc_now())
        return [
            AlertOut.of(alert, store.silenced_by(silences, alert.labels)).model_dump(mode="json") for alert in found
        ]

    _print(with_connection(data_dir, action), _COLUMNS, "no alerts", as_json=as_json)


@app.command("ack")
def ack(
    alerts: Annotated[list[int], typer.Argument(help="Ids of the alerts, as `alerts list` prints them.")],
    tenant: TenantSlug = "default",
    *,
    notes: Annotated[str | None, typer.Option(help="Who looks at it, what is known.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Acknowledge alerts: somebody knows, they are not repeated. Exit code 1 when none was changed."""
    if notes is not None and len(notes) > _MOST_NOTES:
        line = f"--notes takes {_MOST_NOTES} characters at most"
        raise CliError(line)

    async def action(connection: "Connection") -> list[int]:
        from mainstem.alerts import store
        from mainstem.platform.clock import utc_now

        tenant_id = await _tenant(connection, tenant)
        known = await store.acknowledge(connection, tenant_id, alerts, by="cli", notes=notes, now=utc_now())
        return [alert.alert_id for alert in known]

    known = with_connection(data_dir, action)
    if as_json:
        print_json({"acknowledged_count": len(known), "alert_ids": known})
    else:
        typer.echo(f"{len(known)} of {len(set(alerts))} acknowledged")
    if not known:
        raise typer.Exit(1)


@app.command("silence")
def silence(
    matchers: Annotated[list[str], typer.Argument(help="label=value or label!=value; * stands for any characters.")],
    tenant: TenantSlug = "default",
    *,
    last: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 3d.")] = "1h",
    comment: Annotated[str, typer.Option(help="Why.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Keep people from being told of alerts that match all conditions; prints the id of the silence."""
    parsed, lasts = [_matcher(one) for one in matchers], _duration(last)
    if not 0 < len(comment.strip()) <= _MOST_COMMENT:
        line = f"--comment takes 1 to {_MOST_COMMENT} characters"
        raise CliError(line)

    async def action(connection: "Connection") -> dict[str, Any]:
        from mainstem.alerts import rules
        from mainstem.alerts.silence_routes import check_span, shown
        from mainstem.platform.clock import utc_now

        now = utc_now()
        check_span(now, now + lasts, now)
        row = await rules.silence(
            connection,
            await _tenant(connection, tenant),
            parsed,
            starts_at=now,
            ends_at=now + lasts,
            by="cli",
            comment=comment,
        )
        return shown(row, now).model_dump(mode="json")

    made = with_connection(data_dir, action)
    if as_json:
        print_json(made)
    else:
        typer.echo(made["id"])


@app.command("silences")
def silences(
    tenant: TenantSlug = "default",
    *,
    expired: Annotated[bool, typer.Option(help="Also those that are over.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List silences."""

    async def action(connection: "Connection") -> list[dict[str, Any]]:
        from mainstem.alerts import rules
        from mainstem.alerts.silence_routes import shown
        from mainstem.platform.clock import utc_now

        now = utc_now()
        tenant_id = await _tenant(connection, tenant)
        rows, _ = await rules.silences(connection, tenant_id, now, expired=expired, limit=1_000, offset=0)
        return [shown(row, now).model_dump(mode="json") for row in rows]

    found = with_connection(data_dir, action)
    if not as_json:
        for one in found:
            one["matchers"] = " ".join(
                f"{each['name']}{'=' if each['is_equal'] else '!='}{each['value']}" for each in one["matchers"]
            )
    _print(found, _SILENCE_COLUMNS, "no silences", as_json=as_json)


@app.command("unsilence")
def unsilence(
    silence_id: Annotated[int, typer.Argument(metavar="SILENCE", help="Id of the silence.")],
    tenant: TenantSlug = "default",
    *,
    data_dir: DataDir = None,
) -> None:
    """End a silence now."""

    async def action(connection: "Connection") -> None:
        from mainstem.alerts import rules
        from mainstem.platform.clock import utc_now

        await rules.expire(connection, await _tenant(connection, tenant), silence_id, utc_now())

    with_connection(data_dir, action)


@app.command("rules")
def rules_(tenant: TenantSlug = "default", *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List rules and where they stand."""

    async def action(connection: "Connection") -> list[dict[str, Any]]:
        from mainstem.alerts import rules
        from mainstem.alerts.rule_models import RuleOut
        from mainstem.features import METRICS

        tenant_id = await _tenant(connection, tenant)
        rows = await rules.all_of(connection, tenant_id)
        instances = await rules.instances(connection, tenant_id, [row["rule_id"] for row in rows])
        units = {metric.name: metric.unit for metric in METRICS}
        return [
            RuleOut.of(row, units.get(row["metric"]), instances.get(row["rule_id"], [])).model_dump(mode="json")
            for row in rows
        ]

    _print(
        with_connection(data_dir, action), _RULE_COLUMNS, "no rules yet: a working process adds them", as_json=as_json
    )


async def _tenant(connection: "Connection", slug: str) -> int:
    from mainstem.platform.tenants import get_tenant

    return (await get_tenant(connection, slug)).id


def _print(rows: list[dict[str, Any]], columns: list[str], nothing: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_table(columns, rows)
    else:
        typer.echo(nothing, err=True)


def _matcher(text: str) -> "Matcher":
    from pydantic import ValidationError

    from mainstem.alerts.silence_routes import MatcherIn

    found = _MATCHER.fullmatch(text)
    try:
        if found is not None:
            return MatcherIn(name=found[1], value=found[3], is_equal=found[2] == "=").matcher
    except ValidationError:
        pass
    line = f"{text[:100]!r} is no condition: write label=value or label!=value"
    raise CliError(line)


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        line = f"{text!r} is no time: write 30m, 2h or 3d"
        raise CliError(line)
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
