"""Tokens of a source in the database: sealed, renewed by one process at a time, and never replaced by older ones.

Whoever renews claims the row with a lease, speaks to the source without a transaction, and saves what it got before it lets go. A
process that freezes for longer than its lease saves nothing over what others have saved meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import structlog

from mainstem.connectors.oauth import Tokens
from mainstem.connectors.ports import UpstreamError
from mainstem.pii.box import Keyring, PiiKeyError, Wrapped
from mainstem.platform.db import Connection, Pool, is_transient, load_queries, transaction

_KEY_ID_CHARACTERS: Final = 12
_LEASE: Final = timedelta(seconds=90)
"""Longer than one request for tokens may take with all its repetitions."""
_WAIT_S: Final = 0.2
_LIFE: Final = timedelta(minutes=10)
_sql: Final = load_queries("mainstem.connectors", "tokens.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A sign-in that was begun and used up: what its code is exchanged with."""

    verifier: str
    redirect_uri: str
    by: str


class SealedStore:
    """Keeps the tokens of one connector. Bound to its database when the connector is opened; a process has one."""

    def __init__(self, connector: str) -> None:
        """Keep whose they are."""
        self._connector = connector
        self._pool: Pool | None = None
        self._keyring: Keyring | None = None
        self._tenant_id = 0
        self._turn = asyncio.Lock()
        self._claim_id: UUID | None = None
        self._version = 0

    def bind(self, pool: Pool, keyring: Keyring, tenant_id: int) -> None:
        """Say where they are kept, and under which key."""
        self._pool, self._keyring, self._tenant_id = pool, keyring, tenant_id

    async def load(self) -> Tokens | None:
        """Return what was saved last, by any process. Raises UpstreamError when it can't be read."""
        async with self._transaction() as connection:
            row = await connection.fetchrow(_sql["load"], self._tenant_id, self._connector)
        if row is None or row["sealed"] is None:
            self._version = 0 if row is None else row["version"]
            return None
        self._version = row["version"]
        given = json.loads(self._unsealed(row["sealed"], "tokens"))
        return Tokens(access_token=given["access"], refresh_token=given["refresh"], renew_at=row["renew_at"])

    async def save(self, tokens: Tokens) -> None:
        """Keep tokens in place of the former. Raises UpstreamError when they can't be kept now."""
        told = json.dumps({"access": tokens.access_token, "refresh": tokens.refresh_token})
        async with self._transaction() as connection:
            version = await connection.fetchval(
                _sql["save"],
                *(self._tenant_id, self._connector, self._claim_id, self._version),
                *(self._sealed(told, "tokens"), tokens.renew_at),
            )
        if version is None:
            log.warning("connector_tokens_replaced", connector=self._connector)
        else:
            self._version = version

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold all others off, those of other processes, too; one that died is waited for until its lease is over."""
        async with self._turn:
            claim_id = uuid4()
            while not await self._claimed(claim_id):  # noqa: ASYNC110 - whoever lets go may be another process
                await asyncio.sleep(_WAIT_S)
            self._claim_id = claim_id
            try:
                yield
            finally:
                self._claim_id = None
                # what can't be given back now is given back by its lease
                with suppress(UpstreamError):
                    async with self._transaction() as connection:
                        await connection.execute(_sql["release"], self._tenant_id, self._connector, claim_id)

    async def begin(self, state: str, verifier: str, redirect_uri: str, by: str) -> datetime:
        """Keep a sign-in that begins; return until when its code may come. Raises UpstreamError."""
        async with self._transaction() as connection:
            await connection.execute(_sql["forget_old"], self._tenant_id, self._connector)
            found: datetime = await connection.fetchval(
                _sql["begin"],
                *(self._tenant_id, self._connector, _digest(state), self._sealed(verifier, "sign-in")),
                *(redirect_uri, by, _LIFE),
            )
        return found

    async def take(self, state: str) -> Began | None:
        """Use a state up and return what was begun with it; None for one that was used, is over, or never was."""
        async with self._transaction() as connection:
            row = await connection.fetchrow(_sql["take"], self._tenant_id, self._connector, _digest(state))
        if row is None or not row["holds"]:
            return None
        verifier = self._unsealed(row["verifier"], "sign-in")
        return Began(verifier=verifier, redirect_uri=row["redirect_uri"], by=row["by"])

    async def _claimed(self, claim_id: UUID) -> bool:
        async with self._transaction() as connection:
            found: Any = await connection.fetchval(_sql["claim"], self._tenant_id, self._connector, claim_id, _LEASE)
        return found is not None

    def _sealed(self, text: str, what: str) -> bytes:
        return sealed(self._ring(), text, bound(what, self._tenant_id, self._connector))

    def _unsealed(self, box: bytes, what: str) -> str:
        try:
            return unsealed(self._ring(), box, bound(what, self._tenant_id, self._connector))
        except PiiKeyError as error:
            msg = f"The {what} of {self._connector} can't be opened by this installation's key: sign in again."
            raise UpstreamError(msg) from error

    def _ring(self) -> Keyring:
        if self._keyring is None:
            raise UpstreamError("The connector has not been opened yet.")
        return self._keyring

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise UpstreamError("The connector has not been opened yet.")
        try:
            async with transaction(self._pool, tenant_id=self._tenant_id) as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_transient(error):
                raise
            raise UpstreamError("The tokens can't be read or kept now.") from error


def bound(what: str, tenant_id: int, connector: str) -> str:
    """Return what a box is bound to, so that none can be moved to another connector."""
    return f"connector {what} {tenant_id} {connector}"


def sealed(keyring: Keyring, text: str, bound_to: str) -> bytes:
    """Return a secret as it is kept."""
    wrapped = keyring.wrap(text.encode(), bound_to)
    return wrapped.key_id.encode() + wrapped.box


def unsealed(keyring: Keyring, box: bytes, bound_to: str) -> str:
    """Return a kept secret. Raises PiiKeyError when the installation's key does not fit."""
    return keyring.unwrap(Wrapped(box[:_KEY_ID_CHARACTERS].decode(), box[_KEY_ID_CHARACTERS:]), bound_to).decode()


def _digest(state: str) -> bytes:
    return sha256(state.encode()).digest()
