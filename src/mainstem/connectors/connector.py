"""What makes one connector: where bookings come from, where orders go, and the rules between them. A value, made by `wiring`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from mainstem.connectors.ports import Booking, Sink, Source
from mainstem.connectors.sign_in import SignIn

_NAMESPACE: Final = UUID("6f1d0f9e-64a3-5c1d-9b4e-9c7a3d0c5f11")


class Signature(StrEnum):
    """What was found out about the signature of a delivery."""

    VALID = "valid"
    NO_KEY = "no_key"
    MISSING = "no_signature"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"

    @property
    def reason(self) -> str:
        """Return the reason of CONTRACTS part E for one that is not valid."""
        return f"SIGNATURE_VERIFICATION_FAILED_{_WORDS[self]}"


_WORDS = {
    Signature.VALID: "NONE",
    Signature.NO_KEY: "SIGNING_KEY_NOT_CONFIGURED",
    Signature.MISSING: "MISSING_SIGNATURE_HEADER",
    Signature.MALFORMED: "MALFORMED_SIGNATURE_HEADER",
    Signature.MISMATCH: "MISMATCH",
    Signature.TOO_OLD: "TOO_OLD",
    Signature.TOO_NEW: "TOO_NEW",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a delivery says, as far as it can be read."""

    trigger: str | None
    """The source's word for what happened; None: the body has none."""
    reason: str | None = None
    """Why nothing can be done about it, in the words of CONTRACTS part E; None: there is something to do."""
    booking_ids: tuple[str, ...] = ()
    """What it is about, each one order's worth."""
    bookings: Mapping[str, Booking] = field(default_factory=dict)
    """Those that the body tells enough of."""
    deleted: bool = False
    """They are no more."""


Verify = Callable[[Mapping[str, str], bytes, datetime], Signature]
"""Judges a signature: headers by lower-case name, the body as it came, the time."""
Read = Callable[[bytes], Notice]
"""Reads a body. Total: a body that is no JSON is a notice without a trigger."""
Products = Callable[[str], Awaitable[list[tuple[str, str]]]]
"""Lists the products of an establishment as (id, name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which bookings become orders, and what they are called."""

    establishment: str
    site_id: str | None = None
    """The one site whose bookings are taken; None: all."""
    locations: frozenset[str] = frozenset()
    """Sites or locations that are taken; empty: all."""
    statuses: frozenset[str] = frozenset({"DEFINITE", "CLOSED"})
    zone: str | None = None
    """Zone of the site; None: what the booking says, else `fallback_zone`."""
    fallback_zone: str = "UTC"
    prefix: str = "Triple Seat_"
    """Before the booking's id in the name of its order."""
    namespace: UUID = _NAMESPACE
    on_change: str = "replace"
    """What becomes of the order of a booking that changed: `replace` or `flag`."""
    on_cancel: str = "void"
    """What becomes of the order of one that was cancelled: `void` or `flag`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One connector of a tenant."""

    name: str
    tenant: str
    source: Source
    sink: Sink
    verify: Verify
    read: Read
    rules: Rules
    products: Products | None = None
    sign_in: SignIn | None = None
    """How an admin of the source lets it in, where that is needed."""
    first_mapping: Callable[[], Awaitable[str]] | None = None
    """Returns the mapping as CSV that is taken in while there is none."""
    enabled: bool = True
    dry_run: bool = False
    title: str = "Triple Seat"
    """As mails name the source."""
    injected: str = "REVEL_INJECTED"
    """The reason of an order that was made."""
    paths: tuple[str, ...] = ()
    """Where its deliveries are posted."""
    mail_to: tuple[str, ...] = field(default=())
    budget_s: float = 3.0
    """How long a delivery is worked on before it is answered."""
    settle: timedelta = timedelta(seconds=120)
    """How long after an order was sent a reading that does not have it proves that it is not there."""
    lease: timedelta = timedelta(seconds=90)
    every: timedelta = timedelta(minutes=45)
    look_back: timedelta = timedelta(days=2)
    concurrency: int = 8
    kept_most: int = 10_000
    """How many refused deliveries and repetitions are kept."""
