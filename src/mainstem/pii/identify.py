"""Whose data it is: identifiers in their one form, and values that look like an address or a phone number. Pure."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

MAX_IDENTIFIER_CHARACTERS: Final = 320
_EMAIL: Final = re.compile(
    r"[^\s@<>()\[\],;:\"\\/?&=]{1,64}@[^\s@<>()\[\],;:\"\\/?&=]+\.[^\s@<>()\[\],;:\"\\/?&=.]{2,}"
)
_PHONE: Final = re.compile(r"\+[\d\s()./-]{6,24}")
_NOT_DIGITS: Final = re.compile(r"\D")
_FEWEST_DIGITS: Final = 6
_MOST_DIGITS: Final = 15
# what programs write where they know nobody: it would make one person of many
_NOBODY: Final = frozenset(
    {"", "0", "-1", "none", "null", "nil", "undefined", "unknown", "guest", "anonymous", "anon", "nobody", "test"}
)
_EMAIL_FIELDS: Final = ("mail",)
_PHONE_FIELDS: Final = ("phone", "mobile", "telefon", "tel")


class Kind(StrEnum):
    """What an identifier is; in the order in which they decide whose an event is."""

    EMAIL = "email"
    PHONE = "phone"
    USER = "user"
    VISITOR = "visitor"
    SESSION = "session"


class Identifier(NamedTuple):
    """One identifier of a person, normalised: equal for all ways to write it."""

    kind: Kind
    value: str


def email(text: str) -> Identifier | None:
    """Return the identifier of an e-mail address, lower-case and trimmed; None for a text that is none."""
    address = text.strip()
    if len(address) > MAX_IDENTIFIER_CHARACTERS or "@" not in address or _EMAIL.fullmatch(address) is None:
        return None
    return Identifier(Kind.EMAIL, address.lower())


def phone(text: str) -> Identifier | None:
    """Return the identifier of a phone number: its digits, without the international 00; None for other texts."""
    if len(text) > MAX_IDENTIFIER_CHARACTERS:
        return None
    digits = _NOT_DIGITS.sub("", text).removeprefix("00")
    return Identifier(Kind.PHONE, digits) if _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS else None


def user(text: str) -> Identifier | None:
    """Return the identifier of a user id, as it is; None for blanks and words that stand for nobody."""
    name = text.strip()
    if len(name) > MAX_IDENTIFIER_CHARACTERS or name.lower() in _NOBODY:
        return None
    return Identifier(Kind.USER, name)


def contact(text: str) -> Identifier | None:
    """Return the identifier of a value that is an e-mail address or an international phone number, whatever it is called.

    A plain number is no phone number here: ids look like that.
    """
    found = email(text)
    if found is not None or not text.lstrip().startswith("+"):
        return found
    return phone(text) if _PHONE.fullmatch(text.strip()) else None


def identifier(field: str, text: str) -> Identifier | None:
    """Return the identifier in a member of a PII field (`Names.find`), None when that field does not identify."""
    if any(word in field for word in _EMAIL_FIELDS):
        return email(text)
    return phone(text) if any(word in field for word in _PHONE_FIELDS) else None
