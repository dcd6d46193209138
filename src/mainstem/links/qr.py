"""QR codes of short addresses (ISO/IEC 18004), by segno."""

import io
import re
from enum import StrEnum
from typing import Final

import segno

from mainstem.platform.errors import InvalidFieldError

_COLOUR: Final = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


class QrFormat(StrEnum):
    """File formats."""

    SVG = "svg"
    PNG = "png"


class QrLevel(StrEnum):
    """How much of a code may be damaged: about 7, 15, 25 or 30 %."""

    L = "l"
    M = "m"
    Q = "q"
    H = "h"


MEDIA_TYPES: Final = {QrFormat.SVG: "image/svg+xml", QrFormat.PNG: "image/png"}


def qr_code(  # noqa: PLR0913 - what a code looks like
    text: str,
    *,
    kind: QrFormat,
    scale: int,
    border: int,
    dark: str,
    light: str,
    level: QrLevel,
) -> bytes:
    """Return the file of a code. `scale` are pixels per module, `light` may be `transparent`. Raises InvalidFieldError."""
    colours = {"dark": _colour(dark, "dark"), "light": None if light == "transparent" else _colour(light, "light")}
    code = segno.make_qr(text, error=level.value, boost_error=False)
    out = io.BytesIO()
    more = {"svgclass": None, "lineclass": None, "omitsize": False} if kind is QrFormat.SVG else {}
    code.save(out, kind=kind.value, scale=scale, border=border, **colours, **more)
    return out.getvalue()


def _colour(text: str, field: str) -> str:
    found = _COLOUR.fullmatch(text)
    if found is None:
        raise InvalidFieldError(f"{field} must be a colour such as 0b6b6f.", field=field)
    return f"#{found[1]}"
