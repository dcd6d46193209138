"""Finds personal data in one event's JSON, at any depth, and leaves every other byte as it is. Pure.

The text is read token by token instead of being parsed and written again: numbers keep their digits, repeated members
stay, and a text that is cut or malformed is read as far as it goes. What is found:

- members with a PII name: every text and number in them, in lists and objects, too, is sealed;
- texts that are an e-mail address, whatever their member is called, and texts that look like sealed ones;
- members that say who (`names.IDENTITIES`) and hold an e-mail address or phone number: replaced by the subject;
- query parameters of addresses with a PII name, and e-mail addresses in their paths: masked.
"""

import json
import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple

from mainstem.pii import identify
from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.mask import mask_addresses
from mainstem.pii.names import Names
from mainstem.pii.token import PREFIX, parse

# a text that is cut may end within a string
_STRING: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)(?:"(\s*:)?|\\?\Z)'
_TOKEN: Final = re.compile(rf'{_STRING}|[{{}}\[\],]|[^\s"{{}}\[\],:]+', re.DOTALL)
_LITERALS: Final = frozenset({"true", "false", "null"})
_USER_IDS: Final = frozenset({"user_id", "customer_id"})
_OTHER_FIELD: Final = "text"
_EMAIL_FIELD: Final = "email"
_MASK: Final = '"***"'


class Act(Enum):
    """What becomes of a value."""

    SEAL = 1
    SUBJECT = 2
    """Replaced by the subject's id."""
    TEXT = 3
    """Replaced by a text that is known already."""


class Edit(NamedTuple):
    """A value of the text and what becomes of it."""

    start: int
    end: int
    act: Act
    field: str
    """Field of a sealed value; empty for others."""
    value: str
    """JSON text: what is sealed, or what is put in the value's place."""


class Named(NamedTuple):
    """An identifier and how deep in the text it stands."""

    depth: int
    identifier: Identifier


class Scan(NamedTuple):
    """What was found in one text."""

    edits: list[Edit]
    """In the order of the text."""
    named: list[Named]
    """Identifiers of people, in the order of the text."""

    @property
    def is_personal(self) -> bool:
        """Tell whether something has to be sealed or replaced by the subject."""
        return any(edit.act is not Act.TEXT for edit in self.edits)

    @property
    def identifiers(self) -> list[Identifier]:
        """Return one identifier per kind, that which stands least deep, then first; in the order in which they decide."""
        least: dict[Kind, Named] = {}
        for found in self.named:
            known = least.get(found.identifier.kind)
            if known is None or found.depth < known.depth:
                least[found.identifier.kind] = found
        return [least[kind].identifier for kind in Kind if kind in least]


def scan(text: str, names: Names, *, keep_sealed: bool = False) -> Scan:
    """Return what is personal in a JSON text; with `keep_sealed`, values that look sealed are left as they are."""
    return _Scanner(text, names, keep_sealed=keep_sealed).run()


def rewritten(text: str, edits: Sequence[Edit], seal: Callable[[str, str], str], subject: str) -> str:
    """Return the text after its edits; `seal` gives a token for a field and a JSON value."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        match edit.act:
            case Act.SEAL:
                new = f'"{seal(edit.field, edit.value)}"'
            case Act.SUBJECT:
                new = f'"{subject}"'
            case Act.TEXT:
                new = edit.value
        parts += (text[at : edit.start], new)
        at = edit.end
    return "".join((*parts, text[at:]))


def masked(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with everything personal as `***`."""
    edits = [edit if edit.act is Act.TEXT else edit._replace(act=Act.TEXT, value=_MASK) for edit in edits]
    return rewritten(text, edits, lambda _field, _value: "", "")


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str, names: Names, *, keep_sealed: bool) -> None:
        self._text = text
        self._names = names
        self._keep_sealed = keep_sealed
        self._found = Scan([], [])
        # the PII field that everything in an open list or object belongs to, if any
        self._open: list[str | None] = []
        self._field: str | None = None
        self._identity: str | None = None

    def run(self) -> Scan:
        for match in _TOKEN.finditer(self._text):
            match self._text[match.start()]:
                case '"' if match[2] is not None:
                    self._member(match[1])
                    continue
                case '"':
                    self._string(match)
                case "{" | "[":
                    self._open.append(self._current())
                case "}" | "]":
                    if self._open:
                        self._open.pop()
                case ",":
                    pass
                case _:
                    self._scalar(match)
            self._field = self._identity = None
        return self._found

    def _current(self) -> str | None:
        return self._field or (self._open[-1] if self._open else None)

    def _member(self, written: str) -> None:
        name = _plain(written)
        self._field = self._names.find(name)
        self._identity = self._names.identity(name)

    def _string(self, match: re.Match[str]) -> None:
        written = match[1]
        field = self._current()
        if field is None and self._identity is None and "\\" not in written and not _suspicious(written):
            return
        value = _plain(written)
        if self._keep_sealed and value.startswith(PREFIX) and parse(value) is not None:
            return
        if self._identity is not None and field is None and self._who(match, value):
            return
        if field is None:
            field = _EMAIL_FIELD if identify.email(value) else _OTHER_FIELD if value.startswith(PREFIX) else None
            if field is None:
                self._mask(match, value)
                return
        elif (found := identify.identifier(field, value)) is not None:
            self._found.named.append(Named(len(self._open), found))
        if value:
            self._edit(match, Act.SEAL, field, json.dumps(value))

    def _who(self, match: re.Match[str], value: str) -> bool:
        """Take note of who it is; True when the value is replaced by the subject."""
        found = identify.contact(value)
        if found is not None:
            self._found.named.append(Named(len(self._open), found))
            self._edit(match, Act.SUBJECT, "", "")
            return True
        if (known := self._user(value)) is not None:
            self._found.named.append(Named(len(self._open), known))
        return False

    def _mask(self, match: re.Match[str], value: str) -> None:
        shown = mask_addresses(value, self._names)
        if shown != value:
            self._edit(match, Act.TEXT, "", json.dumps(shown))

    def _scalar(self, match: re.Match[str]) -> None:
        field, text = self._current(), match[0]
        if text in _LITERALS:
            return
        found = identify.identifier(field, text) if field is not None else self._user(text)
        if found is not None:
            self._found.named.append(Named(len(self._open), found))
        if field is not None:
            self._edit(match, Act.SEAL, field, text)

    def _user(self, text: str) -> Identifier | None:
        return identify.user(text) if self._identity in _USER_IDS else None

    def _edit(self, match: re.Match[str], act: Act, field: str, value: str) -> None:
        self._found.edits.append(Edit(match.start(), match.end(), act, field, value))


def _suspicious(written: str) -> bool:
    return "@" in written or "=" in written or "%40" in written or written.startswith(PREFIX)


def _plain(written: str) -> str:
    """Return what a JSON string says; one that is malformed says what is written."""
    if "\\" not in written:
        return written
    try:
        text = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return written
    return str(text)
