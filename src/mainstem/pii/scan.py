"""Finds personal data in one event's JSON, at any depth, and leaves every other byte as it is. Pure.

The text is read token by token instead of being parsed and written again: numbers keep their digits, repeated members
stay, and a text that is cut or malformed is read as far as it goes. What is found:

- members with a PII name: every text and number in them, in lists and objects, too, is sealed;
- texts that are an e-mail address, whatever their member is called, and texts that look like sealed ones;
- the plain `name` of an object that also holds an e-mail address, a phone number or part of a name: a person's;
- texts that are JSON with anything of this in it: sealed as a whole;
- members that say who (`names.IDENTITIES`) and hold an e-mail address or phone number: replaced by the subject;
- query parameters of addresses with a PII name, and e-mail addresses in their paths: masked.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import IntEnum
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
_NESTED_FIELD: Final = "json"
_NAME: Final = "name"
_BRACKETS: Final = ("{", "[")
_MOST_NESTED: Final = 3
_MASK: Final = '"***"'


class Act(IntEnum):
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
    """Field of a sealed value, kind of the identifier that the subject replaces, empty for a text."""
    value: str
    """JSON text: what is sealed or replaced by the subject, or the text that is put in its place."""


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


@dataclass(slots=True)
class _Open:
    """An open list or object."""

    field: str | None
    """The PII field that everything in it belongs to, if any."""
    tells_who: bool = False
    """Whether one of its own members is an e-mail address, a phone number or part of a name."""
    names: list[Edit] = dataclass_field(default_factory=list)
    """Its plain `name`, which is a person's where another member tells who."""


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str, names: Names, *, keep_sealed: bool, depth: int = 0) -> None:
        self._text = text
        self._names = names
        self._keep_sealed = keep_sealed
        self._depth = depth
        self._found = Scan([], [])
        self._open: list[_Open] = [_Open(None)]
        self._member = ""
        self._field: str | None = None
        self._identity: str | None = None

    def run(self) -> Scan:
        for match in _TOKEN.finditer(self._text):
            match self._text[match.start()]:
                case '"' if match[2] is not None:
                    self._begin_member(match[1])
                    continue
                case '"':
                    self._string(match)
                case "{" | "[":
                    self._open.append(_Open(self._current()))
                case "}" | "]":
                    self._close()
                case ",":
                    pass
                case _:
                    self._scalar(match)
            self._field = self._identity = None
            self._member = ""
        while len(self._open) > 1:
            self._close()
        self._found.edits.sort()
        return self._found

    def _begin_member(self, written: str) -> None:
        self._member = _plain(written)
        self._field = self._names.find(self._member)
        self._identity = self._names.identity(self._member)

    def _close(self) -> None:
        if len(self._open) > 1:
            closed = self._open.pop()
            if closed.tells_who:
                self._found.edits.extend(closed.names)

    def _current(self) -> str | None:
        return self._field or self._open[-1].field

    def _string(self, match: re.Match[str]) -> None:
        written, field = match[1], self._current()
        if self._identity is self._field is field and not self._is_worth_reading(written):
            return
        value = _plain(written)
        if not value or (self._keep_sealed and value.startswith(PREFIX) and parse(value) is not None):
            return
        if field is not None:
            self._seal(match, field, json.dumps(value), identify.identifier(field, value))
        elif self._identity is None or not self._who(match, value):
            self._other(match, value)

    def _is_worth_reading(self, written: str) -> bool:
        return self._member.lower() == _NAME or "\\" in written or _suspicious(written)

    def _who(self, match: re.Match[str], value: str) -> bool:
        """Take note of who it is; True when the value is replaced by the subject."""
        found = identify.contact(value)
        self._note(found or self._user(value))
        if found is not None:
            self._edit(match, Act.SUBJECT, found.kind, json.dumps(value))
        return found is not None

    def _other(self, match: re.Match[str], value: str) -> None:
        """Look at a text whose member says nothing about it."""
        if identify.email(value) is not None:
            self._edit(match, Act.SEAL, _EMAIL_FIELD, json.dumps(value))
        elif value.startswith(PREFIX):
            self._edit(match, Act.SEAL, _OTHER_FIELD, json.dumps(value))
        elif value[:1] in _BRACKETS and self._depth < _MOST_NESTED:
            self._nested(match, value)
        elif (shown := mask_addresses(value, self._names)) != value:
            self._edit(match, Act.TEXT, "", json.dumps(shown))
        elif self._member.lower() == _NAME:
            self._open[-1].names.append(Edit(match.start(), match.end(), Act.SEAL, _NAME, json.dumps(value)))

    def _nested(self, match: re.Match[str], value: str) -> None:
        """Look into JSON that is written as a text: it is sealed as a whole."""
        inner = _Scanner(value, self._names, keep_sealed=self._keep_sealed, depth=self._depth + 1).run()
        if inner.is_personal:
            depth = len(self._open)
            self._found.named.extend(one._replace(depth=one.depth + depth) for one in inner.named)
            self._edit(match, Act.SEAL, _NESTED_FIELD, json.dumps(value))
        elif inner.edits:
            self._edit(match, Act.TEXT, "", json.dumps(masked(value, inner.edits)))

    def _scalar(self, match: re.Match[str]) -> None:
        field, text = self._current(), match[0]
        if text in _LITERALS:
            return
        if field is not None:
            self._seal(match, field, text, identify.identifier(field, text))
        else:
            self._note(self._user(text))

    def _seal(self, match: re.Match[str], field: str, value: str, found: Identifier | None) -> None:
        self._note(found)
        self._edit(match, Act.SEAL, field, value)
        self._open[-1].tells_who |= found is not None or field.endswith(_NAME)

    def _user(self, text: str) -> Identifier | None:
        return identify.user(text) if self._identity in _USER_IDS else None

    def _note(self, found: Identifier | None) -> None:
        if found is not None:
            self._found.named.append(Named(len(self._open), found))

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
