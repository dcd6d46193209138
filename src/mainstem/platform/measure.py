"""What can be measured: metrics that alert rules are judged by. Each part of the product lists its own as data.

The composition root puts the lists together and hands them to those who judge, so that no part has to know another.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mainstem.platform.db import Connection


class Scope(StrEnum):
    """Whose figure it is."""

    INSTALLATION = "installation"
    """Of the whole installation: one figure, for rules of the tenant `default` alone."""
    TENANT = "tenant"
    """Of each tenant by itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric over a window."""

    value: float
    volume: int
    """How much it stands on (requests, deliveries, …): one error of two requests is no error rate."""
    tenant_id: int | None = None
    """None for the scope INSTALLATION."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What it is a value of, where a tenant has several: `{"webhook_id": "3"}`."""


Read = Callable[[Connection, datetime, datetime], Awaitable[Sequence[Sample]]]
"""Takes a connection of the owner and a window (since, until); returns the values of all tenants at once, by one small
query over roll-ups. A tenant without a value has no sample: nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that can be measured."""

    name: str
    unit: str
    """`ms`, `s`, `%`, `/min`, or empty for a count."""
    scope: Scope
    meaning: str
    """A sentence for people; says what the volume counts."""
    read: Read = field(repr=False)
