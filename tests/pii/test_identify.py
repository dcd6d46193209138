"""Identifiers in their one form."""

import pytest

from mainstem.pii import identify
from mainstem.pii.identify import Identifier, Kind


@pytest.mark.parametrize("text", ["anna@example.com", " Anna@Example.COM\n", "ANNA@example.com"])
def test_an_address_has_one_form(text: str):
    assert identify.email(text) == Identifier(Kind.EMAIL, "anna@example.com")


@pytest.mark.parametrize(
    "text", ["", "anna", "anna@", "@example.com", "a b@example.com", "a@b", "x@" + "a" * 400 + ".at"]
)
def test_other_texts_are_no_address(text: str):
    assert identify.email(text) is None


@pytest.mark.parametrize("text", ["+43 660 123-456", "0043660123456", "43/660/123456", "(43) 660.123456"])
def test_a_number_has_one_form(text: str):
    assert identify.phone(text) == Identifier(Kind.PHONE, "43660123456")


@pytest.mark.parametrize("text", ["", "12345", "1" * 30, "none"])
def test_other_texts_are_no_number(text: str):
    assert identify.phone(text) is None


def test_an_id_is_a_contact_only_when_it_looks_like_one():
    assert identify.contact("4711004711") is None
    assert identify.contact("+43 660 123456") == Identifier(Kind.PHONE, "43660123456")
    assert identify.contact("u-42") is None
    assert identify.contact("Anna@b.cc") == Identifier(Kind.EMAIL, "anna@b.cc")


def test_only_addresses_and_numbers_identify():
    assert identify.identifier("firstname", "anna@b.cc") is None
    assert identify.identifier("contactemail", "anna@b.cc") == Identifier(Kind.EMAIL, "anna@b.cc")
    assert identify.identifier("mobilenumber", "+43 660 123456") == Identifier(Kind.PHONE, "43660123456")
