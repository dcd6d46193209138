"""A/B tests: which of a link's variants a visitor meets. Pure, and the same for the same visitor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from mainstem.platform.errors import InvalidFieldError

MAX_VARIANTS: Final = 10
MAX_WEIGHT: Final = 10_000
_RANGE: Final = 2**64


@dataclass(frozen=True, slots=True)
class Variant:
    """A target, and how much of all visitors it gets, in proportion to the others."""

    target_url: str
    weight: int


def parse_variants(variants: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """Return the variants; targets are not looked at. Raises InvalidFieldError with the field."""
    if len(variants) == 1 or len(variants) > MAX_VARIANTS:
        raise InvalidFieldError(f"An A/B test has 2 to {MAX_VARIANTS} variants.", field="variants")
    return tuple(_variant(one, f"variants[{number}]") for number, one in enumerate(variants))


def as_json(variants: Sequence[Variant]) -> list[dict[str, object]]:
    """Return the variants as `parse_variants` takes them."""
    return [{"target_url": one.target_url, "weight": one.weight} for one in variants]


def choose(variants: Sequence[Variant], visitor: str, link_id: int) -> int:
    """Return the place (from 0) of the variant that a visitor meets; at least one is needed.

    Decided by a hash of visitor and link: no cookie is needed, and tests of different links are independent.
    """
    digest = blake2b(f"{link_id}:{visitor}".encode(errors="surrogatepass"), digest_size=8).digest()
    total = sum(one.weight for one in variants)
    point = int.from_bytes(digest) * total // _RANGE
    for place, one in enumerate(variants):
        point -= one.weight
        if point < 0:
            return place
    return len(variants) - 1


def _variant(given: Mapping[str, Any], field: str) -> Variant:
    target, weight = given.get("target_url"), given.get("weight", 1)
    if not isinstance(target, str) or not target:
        raise InvalidFieldError("A variant needs a target_url.", field=f"{field}.target_url")
    if not isinstance(weight, int) or isinstance(weight, bool) or not 1 <= weight <= MAX_WEIGHT:
        raise InvalidFieldError(f"weight must be a whole number from 1 to {MAX_WEIGHT:,}.", field=f"{field}.weight")
    return Variant(target, weight)
