"""When a group of alerts is told to people, and of which alerts. Pure; the semantics of Alertmanager's groups.

A group waits `wait` for others before its first notification, `interval` between looks, and repeats what still fires after
`repeat`. Alerts that are acknowledged or silenced are not told as firing; the end of what was told is always told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Told(StrEnum):
    """What people have last been told of an alert."""

    NOTHING = "nothing"
    FIRING = "firing"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why there is a notification."""

    NEW = "new"
    RESOLVED = "resolved"
    REPEAT = "repeat"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Member:
    """An alert of a group."""

    alert_id: int
    resolved: bool
    quiet: bool
    """Acknowledged or silenced."""
    told: Told = Told.NOTHING


@dataclass(frozen=True, slots=True)
class Timing:
    """The pauses of a group."""

    wait: timedelta = timedelta(seconds=30)
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be told."""

    reason: Reason
    firing: tuple[int, ...]
    resolved: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a look at a group comes to."""

    notification: Notification | None
    due_at: datetime
    """When to look again."""
    leaving: tuple[int, ...]
    """Alerts that are over and told, or never were told: the group is done with them."""


def plan(
    timing: Timing, due_at: datetime, sent_at: datetime | None, members: Sequence[Member], now: datetime
) -> Plan | None:
    """Return what to do with a group whose last notification was at `sent_at`; None before it is due."""
    if now < due_at:
        return None
    firing = tuple(one.alert_id for one in members if not one.resolved and not one.quiet)
    resolved = tuple(one.alert_id for one in members if one.resolved and one.told is Told.FIRING)
    is_new = any(one.told is Told.NOTHING for one in members if not one.resolved and not one.quiet)
    reason = None
    if is_new:
        reason = Reason.NEW
    elif resolved:
        reason = Reason.RESOLVED
    elif firing and (sent_at is None or now - sent_at >= timing.repeat):
        reason = Reason.REPEAT
    return Plan(
        Notification(reason, firing, resolved) if reason is not None else None,
        now + timing.interval,
        tuple(one.alert_id for one in members if one.resolved),
    )
