"""Signatures of Tripleseat's webhooks: `X-Signature: t=<Unix seconds>,v1=<hex>`. Pure: reads no clock.

Signed is `t.body`, by HMAC-SHA256 with the signing key; the scheme is that of Stripe's webhooks. The vendor's text names the
header and the algorithm only, and two of its users take bare hex of a HMAC over the body alone: that form holds no time, so
whoever has seen a delivery can send it again, and it is taken by explicit setting only.
"""

import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

TOLERANCE_S: Final = 300
LONGEST_HEADER: Final = 8_192
MOST_PARTS: Final = 32
_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_BARE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


class Fault(StrEnum):
    """Why a signature does not hold: the ends of SIGNATURE_VERIFICATION_FAILED_… in answers."""

    SIGNING_KEY_NOT_CONFIGURED = "SIGNING_KEY_NOT_CONFIGURED"
    MISSING_SIGNATURE_HEADER = "MISSING_SIGNATURE_HEADER"
    MALFORMED_SIGNATURE_HEADER = "MALFORMED_SIGNATURE_HEADER"
    MISMATCH = "MISMATCH"
    TOO_OLD = "TOO_OLD"
    TOO_NEW = "TOO_NEW"

    @property
    def reason(self) -> str:
        """The reason as answers give it."""
        return f"SIGNATURE_VERIFICATION_FAILED_{self.value}"


class Form(StrEnum):
    """How a delivery is signed."""

    TIMED = "timed"
    """`t=…,v1=…`"""
    BARE = "bare"
    """Hex of the body's HMAC and nothing else."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a look at a signature: a fault, or the form that fitted."""

    fault: Fault | None
    form: Form | None = None
    signed_at: int | None = None
    """Unix seconds, as the sender says; believed only where there is no fault."""

    @property
    def holds(self) -> bool:
        """Whether the body is the sender's, and fresh."""
        return self.fault is None


def verify(  # noqa: PLR0913 - what the verdict rests on
    header: str | None,
    body: bytes,
    key: str | None,
    now: float,
    *,
    allow_bare: bool = False,
    tolerance_s: int = TOLERANCE_S,
) -> Verdict:
    """Return whether `X-Signature` fits a body, and is not older or newer than `tolerance_s`. Never raises.

    `now`: Unix seconds. `allow_bare`: take bare hex, too. Of several `v1` one that fits is enough, as it is while a key is
    changed; other schemes are passed over. How long it takes says nothing about the key.
    """
    text = (header or "").strip()
    if not key:
        return Verdict(Fault.SIGNING_KEY_NOT_CONFIGURED)
    if not text:
        return Verdict(Fault.MISSING_SIGNATURE_HEADER)
    if allow_bare and _BARE.fullmatch(text):
        fits = _fits([text], hmac.digest(key.encode(), body, sha256))
        return Verdict(None if fits else Fault.MISMATCH, Form.BARE)
    parsed = _parse(text)
    if parsed is None:
        return Verdict(Fault.MALFORMED_SIGNATURE_HEADER)
    written, signatures = parsed
    # signed are the digits as they were sent: 007 and 7 are not the same
    expected = hmac.digest(key.encode(), b"%b.%b" % (written.encode(), body), sha256)
    signed_at = int(written)
    fault = None
    if not _fits(signatures, expected):
        fault = Fault.MISMATCH
    elif abs(signed_at - now) > tolerance_s:
        fault = Fault.TOO_OLD if signed_at < now else Fault.TOO_NEW
    return Verdict(fault, Form.TIMED, signed_at)


def sign(key: str, body: bytes, timestamp: int) -> str:
    """Return the header of a body: what a sender does."""
    return f"t={timestamp},v1={hmac.digest(key.encode(), b'%d.%b' % (timestamp, body), sha256).hex()}"


def _parse(text: str) -> tuple[str, list[str]] | None:
    """Return the time and the signatures of `t=…,v1=…`; None when it is nothing of the kind."""
    parts = text.split(",", MOST_PARTS)
    if len(text) > LONGEST_HEADER or len(parts) > MOST_PARTS:
        return None
    pairs = [part.strip().partition("=") for part in parts]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and value]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not signatures:
        return None
    return times[0], signatures


def _fits(signatures: list[str], digest: bytes) -> bool:
    expected = digest.hex().encode()
    # all are compared, whichever fits
    fits = [hmac.compare_digest(one.lower().encode(errors="replace"), expected) for one in signatures]
    return any(fits)
