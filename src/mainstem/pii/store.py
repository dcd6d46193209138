"""Subjects and their keys in the database: who is known, who is new, whose key is gone.

No key of a subject outlives the transaction that read it: each group of events asks anew, with one query, so that an
erasure needs to tell nobody. Kept in memory are the tenants' lookup keys alone; they open nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from mainstem.pii.assign import LookupOf, Person, assign
from mainstem.pii.box import Keyring, SubjectKey, Wrapped, lookup, new_key
from mainstem.pii.identify import Identifier
from mainstem.platform.db import Connection, load_queries

_TRIES: Final = 20
_sql: Final = load_queries("mainstem.pii")


class CrowdedError(Exception):
    """Other processes kept adding the same people at the same moment; another try is all it takes."""


class Subjects:
    """The subjects of an installation; used with a connection inside a transaction, as owner or under row-level security."""

    def __init__(self, keyring: Keyring) -> None:
        """Keep the installation's key."""
        self._keyring = keyring
        self._lookup_keys: dict[int, bytes] = {}

    def forget(self) -> None:
        """Forget the lookup keys: another server may have others."""
        self._lookup_keys = {}

    async def lookup_key(self, connection: Connection, tenant_id: int) -> bytes:
        """Return the key of a tenant's lookups, which gets one now if it has none. Raises PiiKeyError."""
        if (known := self._lookup_keys.get(tenant_id)) is not None:
            return known
        rows = await connection.fetch(_sql["lookup_key"], tenant_id)
        if not rows:
            new = self._keyring.wrap(new_key(), _lookup_bound(tenant_id))
            await connection.execute(_sql["add_lookup_key"], tenant_id, new.key_id, new.box)
            # that of whoever was first
            rows = await connection.fetch(_sql["lookup_key"], tenant_id)
        ((key_id, box, is_own),) = rows
        key = self._keyring.unwrap(Wrapped(key_id, box), _lookup_bound(tenant_id))
        # one that this transaction has made may yet be rolled back
        if not is_own:
            self._lookup_keys[tenant_id] = key
        return key

    async def resolve(self, connection: Connection, people: Sequence[Person]) -> list[SubjectKey]:
        """Return the key of each person's subject; new people and new identifiers are added.

        Of two transactions that meet a new person at once, the second waits for the first and then takes its subject.
        Raises PiiKeyError, and CrowdedError after many such meetings in a row.
        """
        for _ in range(_TRIES):
            known, keys = await self._known(connection, people)
            found = assign(people, known, uuid4)
            if not (found.new_subjects or found.new_identifiers):
                return [keys[subject] for subject in found.subjects]
            await connection.execute("savepoint pii")
            keys |= await self._add_subjects(connection, found.new_subjects)
            if await _add_identifiers(connection, found.new_identifiers):
                await connection.execute("release savepoint pii")
                return [keys[subject] for subject in found.subjects]
            # somebody else was first with one of them: what they made is committed, so ask again
            await connection.execute("rollback to savepoint pii")
            await connection.execute("release savepoint pii")
        msg = "the same people are being added by others all the time"
        raise CrowdedError(msg)

    async def keys(self, connection: Connection, tenant_id: int, subjects: Iterable[UUID]) -> dict[UUID, SubjectKey]:
        """Return the keys of those of the subjects that are not erased. Raises PiiKeyError."""
        rows = await connection.fetch(_sql["keys"], tenant_id, list(subjects))
        return {row[0]: self._subject_key(tenant_id, row[0], Wrapped(row[1], row[2])) for row in rows}

    async def find(self, connection: Connection, tenant_id: int, identifiers: Iterable[Identifier]) -> list[UUID]:
        """Return the subjects that these identifiers lead to, the oldest first. Raises PiiKeyError."""
        key = await self.lookup_key(connection, tenant_id)
        lookups = [lookup for _, lookup in lookups_of(key, identifiers)]
        return [UUID(int=row[0].int) for row in await connection.fetch(_sql["find"], tenant_id, lookups)]

    async def _known(
        self, connection: Connection, people: Sequence[Person]
    ) -> tuple[dict[LookupOf, UUID], dict[UUID, SubjectKey]]:
        asked = sorted({(one.tenant_id, lookup) for one in people for _, lookup in one.lookups})
        known: dict[LookupOf, UUID] = {}
        keys: dict[UUID, SubjectKey] = {}
        rows = await connection.fetch(_sql["known"], [tenant for tenant, _ in asked], [lookup for _, lookup in asked])
        for tenant_id, found, subject, key_id, wrapped in rows:
            known[tenant_id, found] = subject
            if subject not in keys:
                keys[subject] = self._subject_key(tenant_id, subject, Wrapped(key_id, wrapped))
        return known, keys

    async def _add_subjects(self, connection: Connection, new: Sequence[tuple[int, UUID]]) -> Mapping[UUID, SubjectKey]:
        made = {subject: (tenant_id, new_key()) for tenant_id, subject in new}
        wrapped = [self._keyring.wrap(key, _bound(tenant, subject)) for subject, (tenant, key) in made.items()]
        await connection.fetch(
            _sql["add_subjects"],
            [tenant_id for tenant_id, _ in made.values()],
            list(made),
            [one.key_id for one in wrapped],
            [one.box for one in wrapped],
        )
        return {subject: SubjectKey(tenant, subject, key) for subject, (tenant, key) in made.items()}

    def _subject_key(self, tenant_id: int, subject: UUID, wrapped: Wrapped) -> SubjectKey:
        return SubjectKey(tenant_id, subject, self._keyring.unwrap(wrapped, _bound(tenant_id, subject)))


def lookups_of(key: bytes, identifiers: Iterable[Identifier]) -> tuple[tuple[str, bytes], ...]:
    """Return kind and lookup of each identifier, by a tenant's lookup key."""
    return tuple((str(one.kind), lookup(key, one.kind, one.value)) for one in identifiers)


async def rewrap(connection: Connection, keyring: Keyring, most: int) -> int:
    """Wrap at most `most` keys that are under an earlier key by the current one; return how many. Raises PiiKeyError."""
    rows = await connection.fetch(_sql["lookup_keys_to_rewrap"], keyring.key_id)
    for tenant_id, key_id, box in rows:
        bound = _lookup_bound(tenant_id)
        new = keyring.wrap(keyring.unwrap(Wrapped(key_id, box), bound), bound)
        await connection.execute(_sql["rewrap_lookup_key"], tenant_id, new.key_id, new.box)
    subjects = await connection.fetch(_sql["subject_keys_to_rewrap"], keyring.key_id, most)
    boxes = []
    for tenant_id, subject, key_id, box in subjects:
        bound = _bound(tenant_id, subject)
        boxes.append(keyring.wrap(keyring.unwrap(Wrapped(key_id, box), bound), bound).box)
    tenants, ids = [row[0] for row in subjects], [row[1] for row in subjects]
    await connection.execute(_sql["rewrap_subject_keys"], tenants, ids, boxes, keyring.key_id)
    return len(rows) + len(subjects)


async def not_current(connection: Connection, keyring: Keyring) -> int:
    """Return how many keys are wrapped by an earlier key."""
    count: int = await connection.fetchval(_sql["not_current"], keyring.key_id)
    return count


async def _add_identifiers(connection: Connection, new: Sequence[tuple[int, bytes, UUID, str]]) -> bool:
    """Add lookups; False when some of them could not be added."""
    if not new:
        return True
    columns = [list(column) for column in zip(*sorted(new), strict=True)]
    added: int = await connection.fetchval(_sql["add_identifiers"], *columns)
    return added == len(new)


def _bound(tenant_id: int, subject: UUID) -> str:
    return f"{tenant_id}|{subject}"


def _lookup_bound(tenant_id: int) -> str:
    return f"{tenant_id}|lookup"
