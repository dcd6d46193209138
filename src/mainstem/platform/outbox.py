"""Mails that must not be lost: queued in the transaction of what they tell, sent by any working process until it works.

A mail server that is away costs time, not mails: attempts go on, further and further apart, for a day. A process that is
killed while it sends leaves its mails to the next one after two minutes; then one may come twice, with the same
Message-ID. The text of a mail that carries a secret waits sealed, and goes when the mail is sent.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from mainstem.platform.clock import utc_now
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction
from mainstem.platform.mail import Mailer, MailError
from mainstem.platform.text_box import BoxError, TextBox

FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=15)
GIVEN_UP_AFTER: Final = timedelta(days=1)
LEASE: Final = timedelta(minutes=2)
_JITTER: Final = 0.2
_AT_ONCE: Final = 8
_EVERY_S: Final = 5.0
_sql: Final = load_queries("mainstem.platform", "outbox.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt to send a mail."""

    tenant_id: int
    ref: str | None
    status: str
    """`delivered`, `failed`, or `pending`: it is tried again."""
    error: str | None


OnOutcome = Callable[[Connection, Outcome], Awaitable[None]]
"""Told of each attempt, in the transaction that writes it."""


def next_attempt(attempts: int, created_at: datetime, now: datetime, *, luck: float = 0.5) -> datetime | None:
    """Return when to try again after so many failed attempts, None when a day is over. Pure.

    The pause doubles from ten seconds to a quarter of an hour, a fifth more or less by `luck` (0 to 1).
    """
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE) * (1 + _JITTER * (2 * luck - 1))
    return now + pause if now + pause <= created_at + GIVEN_UP_AFTER else None


class Outbox:
    """Takes mails in; one per process."""

    def __init__(self, mailer: Mailer, operators: Sequence[str], box: TextBox | None = None) -> None:
        """Keep who sends, the addresses of MAIL_TO, and what seals texts with a secret."""
        self._mailer = mailer
        self._box = box
        self.operators = tuple(operators)

    @property
    def configured(self) -> bool:
        """Whether there is a mail server: without one nothing is queued, or it would come out of date one day."""
        return self._mailer.configured

    async def put(  # noqa: PLR0913 - the parts of a mail
        self,
        connection: Connection,
        tenant_id: int,
        receivers: Sequence[str],
        subject: str,
        text: str,
        *,
        ref: str | None = None,
        now: datetime | None = None,
        secret: bool = False,
    ) -> int:
        """Queue a mail to each receiver in the caller's transaction; return how many: none without a mail server.

        With `secret` the database never sees the text.
        """
        if not self.configured:
            return 0
        everybody = list(dict.fromkeys(receivers))
        ids = [self._mailer.new_message_id() for _ in everybody]
        if everybody:
            boxes = self._sealed(text, ids) if secret else [None for _ in ids]
            body = "" if secret else text
            moment = now or utc_now()
            await connection.execute(_sql["put"], tenant_id, ref, everybody, ids, subject, body, moment, boxes)
        return len(everybody)

    def _sealed(self, text: str, ids: Sequence[str]) -> list[bytes]:
        if self._box is None:
            msg = "an outbox without a key takes no texts with a secret"
            raise RuntimeError(msg)
        return [self._box.seal(text, one) for one in ids]

    async def to_operators(self, connection: Connection, tenant_id: int, subject: str, text: str) -> None:
        """Queue a mail about a tenant to MAIL_TO in the caller's transaction."""
        await self.put(connection, tenant_id, self.operators, subject, text)


async def send_due(
    pool: Pool,
    mailer: Mailer,
    *,
    now: Callable[[], datetime] = utc_now,
    on_outcome: OnOutcome | None = None,
    box: TextBox | None = None,
) -> int:
    """Try to send mails that are due, at most eight, side by side; return how many were tried."""
    moment = now()
    async with transaction(pool) as connection:
        rows = await connection.fetch(_sql["claim"], moment, _AT_ONCE, moment + LEASE)
    await asyncio.gather(*(_send(pool, mailer, row, now, on_outcome, box) for row in rows))
    return len(rows)


async def run(
    pool: Pool,
    mailer: Mailer,
    stop: asyncio.Event,
    *,
    on_outcome: OnOutcome | None = None,
    box: TextBox | None = None,
) -> None:
    """Send what is due until `stop` is set; a database or mail server that is away is waited for.

    `box` opens the texts that were sealed; without it those mails fail.
    """
    while mailer.configured and not stop.is_set():
        tried = 0
        try:
            tried = await send_due(pool, mailer, on_outcome=on_outcome, box=box)
        except Exception as error:
            if is_transient(error):
                log.warning("mails_postponed", reason=type(error).__name__)
            else:
                log.exception("mails_failed")
        if tried < _AT_ONCE:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await stop.wait()


async def prune(connection: Connection, before: datetime) -> int:
    """Delete mails that were done with before `before`, in small transactions; return how many."""
    pruned = 0
    while gone := await connection.fetchval(_sql["prune"], before):
        pruned += gone
    return pruned


async def _send(  # noqa: PLR0913, PLR0917 - what an attempt needs
    pool: Pool,
    mailer: Mailer,
    row: asyncpg.Record,
    now: Callable[[], datetime],
    on_outcome: OnOutcome | None,
    box: TextBox | None,
) -> None:
    status, error, again = "delivered", None, None
    try:
        text = _text(row, box)
        await mailer.send([row["receiver"]], row["subject"], text, message_id=row["message_id"], now=now())
    except MailError as refusal:
        error = refusal.detail
        if not refusal.permanent:
            again = next_attempt(row["attempts"], row["created_at"], now(), luck=random.random())  # noqa: S311 - no secret
        status = "failed" if again is None else "pending"
        log.warning("mail_not_sent", mail=row["mail_id"], status=status, attempts=row["attempts"], reason=error)
    async with transaction(pool) as connection:
        ours = await connection.fetchval(_sql["finish"], row["mail_id"], status, error, again, now())
        if ours is not None and on_outcome is not None:
            await on_outcome(connection, Outcome(row["tenant_id"], row["ref"], status, error))


def _text(row: asyncpg.Record, box: TextBox | None) -> str:
    if row["sealed"] is None:
        return str(row["body"])
    other_key = MailError("The text was sealed under another SECRET_KEY.", permanent=True)
    if box is None:
        raise other_key
    try:
        return box.open(row["sealed"], row["message_id"])
    except BoxError:
        raise other_key from None
