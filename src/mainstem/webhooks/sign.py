"""Signatures of deliveries: those of `platform.standard_webhooks`, and the id that an event has in them."""

from uuid import UUID

from mainstem.platform.standard_webhooks import (
    TOLERANCE_S,
    Secret,
    SecretKind,
    SignatureError,
    headers,
    verify,
)

__all__ = ["TOLERANCE_S", "Secret", "SecretKind", "SignatureError", "headers", "message_id", "verify"]


def message_id(event_uid: UUID) -> str:
    """Return the `webhook-id` of an event: the same for every attempt and every endpoint, and free of dots."""
    return f"msg_{event_uid.hex}"
