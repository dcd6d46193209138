"""What is mailed about orders and runs. Pure; the subjects are those of CONTRACTS part E."""

from collections.abc import Mapping, Sequence

from mainstem.connectors.plan import number
from mainstem.connectors.ports import Booking, Plan


def injected(  # noqa: PLR0913, PLR0917 - all that the mail tells
    title: str, booking: Booking, plan: Plan | None, order_id: str | None, reason: str, correlation_id: str | None
) -> tuple[str, str]:
    """Return subject and text of the mail about an order that was made or changed; the id is that of the log's lines."""
    lines = [*_booking(booking), f"Order: {order_id}", f"Result: {reason}", *_found_by(correlation_id), ""]
    if plan is not None:
        lines += [f"  {number(item.quantity)} x {item.name}" for item in plan.items]
    return f"{title} Event Injected — Event #{booking.booking_id}", "\n".join(lines) + "\n"


def failed(title: str, booking: Booking, reason: str, error: str | None, correlation_id: str | None) -> tuple[str, str]:
    """Return subject and text of the mail about an order that could not be made."""
    lines = [*_booking(booking), f"Reason: {reason}", *([error] if error else []), *_found_by(correlation_id)]
    return f"FAILED: {title} Event Injection — Event #{booking.booking_id}", "\n".join(lines) + "\n"


def differences(title: str, run: Mapping[str, object], found: Sequence[tuple[str, str, str | None]]) -> tuple[str, str]:
    """Return subject and text of the mail about a run: `found` has (kind, sentence, what became of it)."""
    counts: dict[str, int] = {}
    for kind, _, _ in found:
        counts[kind] = counts.get(kind, 0) + 1
    told = ", ".join(f"{many} {kind.replace('_', ' ')}" for kind, many in sorted(counts.items()))
    lines = [
        f"Run {run.get('run_id')} {run.get('correlation_id')}: {told or 'no difference'}.",
        (
            f"Queried {run.get('queried')}, injected {run.get('injected')}, skipped {run.get('skipped')}, "
            f"failed {run.get('failed')}."
        ),
        *([f"It did not end well: {run['error']}"] if run.get("error") else []),
        "",
        *(f"- {kind}: {sentence}{f' [{done}]' if done else ''}" for kind, sentence, done in found),
    ]
    return f"{title} reconciliation: {told or 'failed'}", "\n".join(lines) + "\n"


def _found_by(correlation_id: str | None) -> list[str]:
    return [] if correlation_id is None else [f"In the log: {correlation_id}"]


def _booking(booking: Booking) -> list[str]:
    return [
        f"Event: {booking.name} (#{booking.booking_id})",
        f"Date: {booking.on.isoformat() if booking.on else booking.on_text or 'not known'}",
        f"Status: {booking.status}",
        f"Site: {booking.site_id}",
    ]
