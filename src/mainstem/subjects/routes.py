"""The subjects API: find, export, erase. Scope admin; identifiers stand in bodies, never in addresses."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.pii.theirs import Kept
from mainstem.platform.auth import Caller
from mainstem.platform.db import Pool, transaction
from mainstem.subjects.erase import erase
from mainstem.subjects.export import export
from mainstem.subjects.find import find_or_meet, identifiers_of
from mainstem.subjects.models import EraseRequest, ErasureAnswer, LookupAnswer, LookupRequest, SubjectAnswer

_PART_CHARACTERS: Final = 65_536
_DOCUMENT: Final[dict[str, object]] = {
    "type": "object",
    "required": ["subject", "attributes", "events", "site_events", "counts"],
    "properties": {
        "subject": {"type": "object"},
        "attributes": {"type": "array", "items": {"type": "object"}},
        "events": {"type": "array", "items": {"type": "object"}},
        "site_events": {"type": "array", "items": {"type": "object"}},
        "counts": {"type": "object"},
    },
}


def build_router(
    *,
    pool: Callable[[], Pool],
    keyring: Callable[[], Keyring],
    require: Callable[[str], Callable[..., Awaitable[Caller]]],
    kept: Callable[[], Sequence[Kept]] = tuple,
) -> APIRouter:
    """Return the routes.

    `pool` gives the pool that runs under row-level security, `keyring` the installation's key, and `require` makes the
    dependency that yields the caller who has a scope. `kept` gives what other parts keep of people.
    """
    router = APIRouter(prefix="/api/v1/subjects", tags=["personal data"])
    Admin = Annotated[Caller, Depends(require("admin"))]  # noqa: N806 - a type

    @router.post("/lookup", summary="Find people by e-mail address, phone number or user id")
    async def lookup(caller: Admin, body: LookupRequest) -> LookupAnswer:
        identifiers = identifiers_of(email=body.email, phone=body.phone, user_id=body.user_id)
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            people = await find_or_meet(connection, Subjects(keyring()), caller.tenant_id, identifiers, kept())
        return LookupAnswer(subjects=[SubjectAnswer(**asdict(one)) for one in people])

    @router.get(
        "/{subject_id}/export",
        summary="All that is known of a person",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/json": {"schema": _DOCUMENT}}}},
    )
    async def export_(caller: Admin, subject_id: UUID) -> StreamingResponse:
        parts = _document(pool(), keyring(), caller.tenant_id, subject_id, kept())
        # the first part tells whether there is such a person, while an error can still be answered
        first = await anext(parts)
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{subject_id}.json"'}
        return StreamingResponse(_after(first, parts), media_type="application/json", headers=headers)

    @router.post("/{subject_id}/erase", summary="Erase a person for good")
    async def erase_(caller: Admin, subject_id: UUID, body: EraseRequest) -> ErasureAnswer:
        async with transaction(pool(), tenant_id=caller.tenant_id) as connection:
            done = await erase(
                connection,
                keyring(),
                caller.tenant_id,
                subject_id,
                by=caller.subject,
                ticket=body.ticket,
                kept=kept(),
            )
        return ErasureAnswer(**asdict(done))

    return router


async def _document(
    pool: Pool, keyring: Keyring, tenant_id: int, subject_id: UUID, kept: Sequence[Kept]
) -> AsyncIterator[str]:
    """Yield the export in parts of some size."""
    async with transaction(pool, tenant_id=tenant_id) as connection:
        waiting = ""
        async for part in export(connection, keyring, tenant_id, subject_id, kept=kept):
            waiting += part
            if len(waiting) >= _PART_CHARACTERS:
                yield waiting
                waiting = ""
        yield waiting


async def _after(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for part in rest:
        yield part
