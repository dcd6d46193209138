"""Reads what is sealed in an event: whose it is, and which fields of them it says. Pure: no key is needed.

Equal values are known by their fingerprints, so a satellite of sealed values has a row per change, as every satellite.
"""

import json
from functools import lru_cache
from typing import Final

from mainstem.events.model import EventFlag, RawEvent
from mainstem.pii.token import Token, tokens_in
from mainstem.vault.engine.hashing import INJECTIVE, hash_key

CUSTOMER_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("customer_hk", "bytea"),
    ("customer_bk", "text"),
    ("customer_fields", "text"),
    ("customer_hashdiff", "bytea"),
    ("customer_sealed", "jsonb"),
)
"""Last columns of a stage of events that may hold personal data; all null for those that hold none."""
SUBJECT: Final = "subject"
"""Collision code of people."""

_PII: Final = int(EventFlag.PII)
_NOBODY: Final = (None, None, None, None, None)
# what a sender wrote to look sealed is no field of a person
_NOT_A_FIELD: Final = "text"

Customer = tuple[bytes | None, str | None, str | None, bytes | None, str | None]


def customer_of(event: RawEvent) -> Customer:
    """Return the values of CUSTOMER_COLUMNS of an event: key, subject id, names of the fields, hashdiff, sealed values.

    The sealed values are a JSON object of field and tokens. An event about one person has tokens of one subject; where a
    sender without a seal has mixed some, the first counts.
    """
    if not event.flags & _PII:
        return _NOBODY
    tokens = [token for token in tokens_in(event.data) if token.field != _NOT_A_FIELD]
    if not tokens:
        return _NOBODY
    subject = tokens[0].subject
    fields: dict[str, list[Token]] = {}
    for token in tokens:
        if token.subject == subject:
            fields.setdefault(token.field, []).append(token)
    names = sorted(fields)
    prints = {name: " ".join(token.fingerprint for token in fields[name]) for name in names}
    sealed = {name: [str(token) for token in fields[name]] for name in names}
    business_key = str(subject)
    return (
        customer_key(event.tenant_id, business_key),
        business_key,
        ",".join(names)[:_MOST_CHARACTERS],
        INJECTIVE.hashdiff(prints),
        json.dumps(sealed, separators=(",", ":")),
    )


# a B-tree entry holds 2,704 bytes
_MOST_CHARACTERS: Final = 2_000


@lru_cache(maxsize=4_096)
def customer_key(tenant_id: int, subject: str) -> bytes:
    """Return the key of a person in `hub_customer`."""
    return hash_key(tenant_id, SUBJECT, subject)
