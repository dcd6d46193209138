"""Faults: what goes wrong at which route, how often. Decides only; `gateway` and `tripleseat.notify` make them happen."""

from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """What goes wrong. `…_after_commit`: the request was handled, its answer is lost or spoilt."""

    LATENCY = "latency"
    TIMEOUT = "timeout"
    TIMEOUT_AFTER_COMMIT = "timeout_after_commit"
    RESET = "reset"
    RESET_AFTER_COMMIT = "reset_after_commit"
    TOO_MANY = "429"
    ERROR = "500"
    ERROR_AFTER_COMMIT = "500_after_commit"
    UNAVAILABLE = "503"
    HTML = "html"
    HTML_AFTER_COMMIT = "html_after_commit"
    CUT = "cut"
    """It hangs up in the middle of the answer."""
    GARBAGE = "garbage"
    GARBAGE_AFTER_COMMIT = "garbage_after_commit"
    WEBHOOK_DROPPED = "webhook_dropped"
    WEBHOOK_DUPLICATED = "webhook_duplicated"
    WEBHOOK_WRONG_SIGNATURE = "webhook_wrong_signature"
    WEBHOOK_OUT_OF_ORDER = "webhook_out_of_order"

    @property
    def of_webhooks(self) -> bool:
        """Whether it befalls a webhook that is sent, not a request that comes."""
        return self.startswith("webhook_")

    @property
    def after_commit(self) -> bool:
        """Whether the request is handled all the same."""
        return self.endswith("_after_commit")


Service = Literal["tripleseat", "revel", "openai", "*"]
_DEFAULT_SECONDS: Final = {Kind.LATENCY: 0.5, Kind.WEBHOOK_OUT_OF_ORDER: 2.0}
_HOLD_S: Final = 60.0


class Draft(BaseModel):
    """A fault that somebody asks for."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    service: Service = "*"
    method: str = "*"
    route: str = Field(
        default="*", description="Path below the service, * and ? for anything: /specialresources/cart/submit"
    )
    probability: float = Field(default=1.0, ge=0, le=1)
    count: int | None = Field(default=None, ge=1, description="How often at most; none: until it is cleared.")
    seconds: float | None = Field(default=None, ge=0, description="How long: latency, or until a time-out hangs up.")
    retry_after_s: int | None = Field(default=1, ge=0, description="Retry-After of 429 and 503; none: without.")


class Fault(Draft):
    """A fault that is set."""

    id: int
    made: int = 0
    """How often it has happened."""

    @property
    def lasts_s(self) -> float:
        """The seconds it was given, else what is usual for its kind."""
        return _DEFAULT_SECONDS.get(self.kind, _HOLD_S) if self.seconds is None else self.seconds

    def fits(self, service: str, method: str, path: str) -> bool:
        """Return whether a request (or a webhook: method is its trigger, path its site) may meet it."""
        return (
            (self.count is None or self.made < self.count)
            and self.service in {"*", service}
            and fnmatchcase(method.upper(), self.method.upper())
            and any(fnmatchcase(path, pattern) for pattern in (self.route, f"{self.route.rstrip('/')}/"))
        )


class Faults:
    """All faults that are set. The first that fits and whose dice fall happens."""

    def __init__(self, seed: int) -> None:
        """Start without any; the dice are those of the seed."""
        self._random = Random(f"faults {seed}")  # noqa: S311 - repeatable on purpose
        self._next = 1
        self.all: list[Fault] = []

    def add(self, draft: Draft) -> Fault:
        """Set a fault."""
        fault = Fault(id=self._next, **draft.model_dump())
        self._next += 1
        self.all.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> bool:
        """Clear one fault, or all; return whether there was any."""
        kept = [] if fault_id is None else [fault for fault in self.all if fault.id != fault_id]
        found = len(kept) < len(self.all)
        self.all = kept
        return found

    def draw(self, service: str, method: str, path: str, *, of_webhooks: bool = False) -> Fault | None:
        """Return what goes wrong with a request or a webhook now, and count it."""
        for fault in self.all:
            if (
                fault.kind.of_webhooks is of_webhooks
                and fault.fits(service, method, path)
                and self._random.random() < fault.probability
            ):
                fault.made += 1
                return fault
        return None
