"""The webhook `order.finalized`."""

import hmac
import json
from collections.abc import Mapping, Sequence
from hashlib import sha1, sha256

from mainstem.sandbox.revel.tables import Row
from mainstem.sandbox.sending import Letter


def finalized(order: Row, items: Sequence[Row], establishment: int, *, url: str, secret: str) -> Letter:
    """Return the letter that tells of a closed order; anything in 200 to 299 takes it."""
    content = {"orderInfo": order, "items": list(items), "payments": [], "history": []}
    body = json.dumps(content, ensure_ascii=False).encode()
    message = sha256(b"%d %b" % (order["id"], body)).hexdigest()[:32]

    def sign(body: bytes, _timestamp: int, wrong: bool) -> Mapping[str, str]:  # noqa: FBT001 - a callback
        key = secret[::-1] if wrong else secret
        return {
            "X-Revel-Signature": hmac.new(key.encode(), body, sha1).hexdigest(),
            "X-Revel-Instance": "sandbox",
            "X-Revel-Event-Type": "order.finalized",
            "X-Revel-Event-Id": message[:16],
            "X-Revel-Message-Id": message,
            "X-Revel-Establishment-Id": str(establishment),
        }

    return Letter(
        service="revel",
        name="order.finalized",
        about=order["id"],
        place=establishment,
        endpoint=0,
        url=url,
        body=body,
        sign=sign,
        accepts=lambda status: 200 <= status < 300,
    )
