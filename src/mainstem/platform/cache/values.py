"""Values as the cache keeps them: JSON, so that memory and Redis hold the same, and nobody changes another one's copy."""

from typing import Any

import asyncpg
import msgspec
from pydantic import BaseModel


def encoded(value: object) -> bytes:
    """Return a value as JSON. Raises TypeError for what JSON can't say."""
    return _encoder.encode(value)


def decoded(body: bytes, into: Any) -> Any:  # noqa: ANN401 - a type of the caller's
    """Return a new value of a type that msgspec can decode. Raises msgspec.DecodeError."""
    return msgspec.json.decode(body, type=into)


def _hook(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, asyncpg.Record):
        return dict(value)
    msg = f"the cache keeps JSON, and {type(value).__name__} is none"
    raise TypeError(msg)


_encoder = msgspec.json.Encoder(enc_hook=_hook)
