"""Seals the personal data of events before they are written, for the log, for `record()` and for the loader.

The front only marks events that may hold some (`mark`, EventFlag.PII); all others pass `seal_groups` untouched, at the
price of a glance at their flags. Sealing happens in the transaction of the write, so that what is committed is sealed.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from mainstem.events.group import PendingGroup
from mainstem.events.model import EventFlag, NewEvent, Reject
from mainstem.pii import identify
from mainstem.pii.assign import Person
from mainstem.pii.box import Keyring, SubjectKey, lookup
from mainstem.pii.detect import Detector
from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.mask import mask_emails, mask_sentence
from mainstem.pii.names import Names
from mainstem.pii.scan import Act, Scan, masked, rewritten, scan
from mainstem.pii.store import Subjects, lookups_of
from mainstem.platform.db import Connection

_PII: Final = int(EventFlag.PII)
_FLAGS: Final = itemgetter(NewEvent._fields.index("flags"))
_SLICE_EVENTS: Final = 50
"""Events read or sealed before the event loop gets a turn: a few milliseconds."""
KNOWN_AS: Final = '"mainstem_known_as"'
"""Member of an event's data that holds, sealed, the address or number that was its user, visitor, subject or message id."""
_MESSAGE: Final = "message"
_SITE: Final = "site"
_DECIDING: Final = (Kind.EMAIL, Kind.PHONE, Kind.USER)


class _Found(NamedTuple):
    """One personal event: its place, what is in it, and whose it may be."""

    place: int
    event: NewEvent
    scan: Scan
    identifiers: tuple[Identifier, ...]


class Sealer:
    """Marks and seals events for one installation; used by one event loop."""

    def __init__(self, names: Iterable[str], keyring: Keyring) -> None:
        """Keep the names of PII fields and the installation's key."""
        self.names = Names(names)
        self.keyring = keyring
        self.subjects = Subjects(keyring)
        detector = Detector(self.names)
        self.in_body = detector.in_body
        self.in_values = detector.in_values
        self._in_text = detector.in_text

    def mark(self, event: NewEvent) -> NewEvent:
        """Return the event, with the flag PII when it may hold personal data."""
        return event._replace(flags=event.flags | _PII) if self.suspects(event) else event

    def suspects(self, event: NewEvent) -> bool:
        """Tell whether an event may hold personal data."""
        return self._in_text(event.data) or any(
            "@" in text or "+" in text for text in (event.subject, event.visitor, event.message_id) if text is not None
        )

    async def seal_groups(self, connection: Connection, groups: Sequence[PendingGroup]) -> Sequence[PendingGroup]:
        """Return the groups with what is personal in their marked events sealed; the caller's transaction is open.

        Raises PiiKeyError when the installation's key does not fit, CrowdedError, and what asyncpg raises.
        """
        # one look at all flags at once is the price for those that hold nothing
        marked = [any(map(_PII.__and__, map(_FLAGS, group.events))) for group in groups]
        if not any(marked):
            return groups
        places = [
            (number, place)
            for number, group in enumerate(groups)
            if marked[number]
            for place, event in enumerate(group.events)
            if event.flags & _PII
        ]
        sealed = await self.seal(connection, [groups[number].events[place] for number, place in places])
        events = [list(group.events) for group in groups]
        for (number, place), event in zip(places, sealed, strict=True):
            events[number][place] = event
        return [group._replace(events=mine) for group, mine in zip(groups, events, strict=True)]

    async def seal(
        self, connection: Connection, events: Sequence[NewEvent], *, keep_sealed: bool = False
    ) -> list[NewEvent]:
        """Return the events with what is personal in them sealed; the flag PII stays on those alone.

        With `keep_sealed`, values that are sealed already stay, and so does the flag of their events. It is for events
        out of the landing: a sender's own words may look sealed, too. Raises as `seal_groups` does.
        """
        sealed = list(events)
        found: list[_Found] = []
        for place, event in enumerate(events):
            seen = scan(event.data, self.names, keep_sealed=keep_sealed)
            named = _named_outside(event)
            if seen.is_personal or named:
                found.append(_Found(place, event, seen, _identifiers(event, named, seen)))
            else:
                flags = event.flags if keep_sealed else event.flags & ~_PII
                sealed[place] = event._replace(flags=flags, data=_with_masks(event.data, seen))
            if place % _SLICE_EVENTS == _SLICE_EVENTS - 1:
                await asyncio.sleep(0)
        if not found:
            return sealed
        lookup_keys = {
            tenant_id: await self.subjects.lookup_key(connection, tenant_id)
            for tenant_id in sorted({one.event.tenant_id for one in found})
        }
        people = [
            Person(one.event.tenant_id, lookups_of(lookup_keys[one.event.tenant_id], one.identifiers)) for one in found
        ]
        keys = await self.subjects.resolve(connection, people)
        for number, (one, key) in enumerate(zip(found, keys, strict=True)):
            sealed[one.place] = _sealed(one, key, lookup_keys[one.event.tenant_id])
            if number % _SLICE_EVENTS == _SLICE_EVENTS - 1:
                await asyncio.sleep(0)
        return sealed

    def mask_rejects(self, rejects: Sequence[Reject]) -> Sequence[Reject]:
        """Return refused events with what is personal in them masked; they are never opened again, so nothing is sealed."""
        return [self._masked(reject) for reject in rejects]

    def mask_sentence(self, text: str) -> str:
        """Return a sentence without e-mail addresses and personal query parameters: for logs."""
        return mask_sentence(text, self.names)

    def _masked(self, reject: Reject) -> Reject:
        reject = reject._replace(reason=self.mask_sentence(reject.reason))
        if not self._in_text(reject.payload):
            return reject
        payload = masked(reject.payload, scan(reject.payload, self.names).edits)
        # what is no JSON is a line of a log
        is_json = payload.lstrip().startswith("{")
        return reject._replace(payload=mask_emails(payload) if is_json else self.mask_sentence(payload))


def _named_outside(event: NewEvent) -> list[Identifier]:
    """Return the addresses and numbers that stand in the event's own fields."""
    fields = (event.subject, None if event.visitor is None else event.visitor[2:], event.message_id)
    return [found for text in fields if text is not None and (found := identify.contact(text)) is not None]


def _identifiers(event: NewEvent, named: list[Identifier], seen: Scan) -> tuple[Identifier, ...]:
    """Return what an event's person is known by; the first decides.

    Visitor and session come last: they decide only where somebody says nothing else about themselves.
    """
    strong = [one for kind in _DECIDING for one in (*named, *seen.identifiers) if one.kind is kind]
    return tuple(dict.fromkeys((*strong, *_weak(event))))


def _weak(event: NewEvent) -> list[Identifier]:
    """Return the visitor and the session, where they are the sender's own ids and no addresses."""
    weak = []
    if event.visitor is not None and event.visitor.startswith("v:") and identify.contact(event.visitor[2:]) is None:
        weak.append(Identifier(Kind.VISITOR, event.visitor))
    if event.source == _SITE and event.subject is not None and identify.contact(event.subject) is None:
        weak.append(Identifier(Kind.SESSION, event.subject))
    return weak


def _with_masks(text: str, seen: Scan) -> str:
    """Return the text of an event about nobody: at most something in its addresses is masked."""
    return rewritten(text, seen.edits, _never, "") if seen.edits else text


def _never(_field: str, _value: str) -> str:
    raise AssertionError


def _sealed(found: _Found, key: SubjectKey, lookup_key: bytes) -> NewEvent:
    event, subject = found.event, str(key.subject)
    message_id = event.message_id
    if message_id is not None and identify.contact(message_id) is not None:
        message_id = f"h:{lookup(lookup_key, _MESSAGE, message_id).hex()}"
    data = rewritten(event.data, found.scan.edits, lambda field, value: str(key.seal(field, value)), subject)
    return event._replace(
        message_id=message_id,
        subject=None if event.subject is None else _nameless(event.subject, subject),
        visitor=None if event.visitor is None else event.visitor[:2] + _nameless(event.visitor[2:], subject),
        flags=event.flags | _PII,
        data=_with_known_as(data, found, key),
    )


def _with_known_as(data: str, found: _Found, key: SubjectKey) -> str:
    """Return the data with the identifiers sealed that the subject has replaced and that are sealed nowhere in it.

    They are what the person would ask for, and what leads from the vault's events to them.
    """
    sealed = {
        identify.identifier(edit.field, str(json.loads(edit.value)))
        for edit in found.scan.edits
        if edit.act is Act.SEAL
    }
    replaced = {one: (str(one.kind), json.dumps(one.value)) for one in _named_outside(found.event)}
    for edit in found.scan.edits:
        if edit.act is Act.SUBJECT and (one := identify.contact(json.loads(edit.value))) is not None:
            replaced[one] = (edit.field, edit.value)
    members = [str(key.seal(*what)) for one, what in replaced.items() if one not in sealed]
    end = data.rstrip()
    if not members or not end.endswith("}"):
        return data
    comma = "" if end[:-1].rstrip().endswith("{") else ","
    return f"{end[:-1]}{comma}{KNOWN_AS}:{json.dumps(members)}}}"


def _nameless(text: str, subject: str) -> str:
    return text if identify.contact(text) is None else subject
