"""Where a value is in JSON: `order.id`, `lines.0.sku`, or a JSON pointer (`/order/id`, RFC 6901) for odd names. Pure."""

import re
from dataclasses import dataclass
from typing import Any

_PLACE = re.compile(r"[^./~\s][^.\s]*(\.[^.\s]+)*")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in JSON; the empty one is the whole."""

    text: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Return the place that a text names. Raises ValueError with the rest of a sentence."""
        if not text:
            return cls("", ())
        if text.startswith("/"):
            parts = text[1:].split("/")
            if any(re.search(r"~(?![01])", part) for part in parts):
                raise ValueError(f"is no JSON pointer: after ~ comes 0 or 1, not as in {text!r}")
            return cls(text, tuple(part.replace("~1", "/").replace("~0", "~") for part in parts))
        if _PLACE.fullmatch(text) is None:
            raise ValueError(f"must be names with dots between them, or a JSON pointer, not {text!r}")
        return cls(text, tuple(text.split(".")))

    def of(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return what is there; None where the way breaks off."""
        for name in self.names:
            if isinstance(value, dict):
                value = value.get(name)
            elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) <= 6:
                value = value[int(name)] if int(name) < len(value) else None
            else:
                return None
        return value


def pointer(names: tuple[str, ...]) -> str:
    """Return the JSON pointer of names."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
