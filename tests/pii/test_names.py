"""Names of members in all their spellings, and the quick search that must never miss one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.pii.detect import Detector
from mainstem.pii.names import ENDS, Names, quick, spellings, words_of
from mainstem.platform.settings import Settings

NAMES = Names(Settings(_env_file=None).pii_fields)
DETECTOR = Detector(NAMES)

words = st.lists(st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True), min_size=1, max_size=3)


@pytest.mark.parametrize(
    "written", ["email", "Email", "EMAIL", "e_mail", "e-mail", "E-Mail", "eMail", "emailAddress", "EMAIL_ADDRESS"]
)
def test_usual_spellings_of_email_are_found(written: str):
    assert NAMES.find(written) in {"email", "emailaddress"}


@pytest.mark.parametrize(
    "written", ["name", "page_title", "event_name", "emails_sent", "e_ma_il", "", "address", "city"]
)
def test_other_names_are_none(written: str):
    assert NAMES.find(written) is None


def test_who_it_is_is_told_apart():
    assert NAMES.identity("userId") == "user_id"
    assert NAMES.identity("VISITOR-ID") == "visitor_id"
    assert NAMES.find("user_id") is None


@pytest.mark.parametrize("name", ["", "_", "ü"])
def test_a_name_needs_a_letter(name: str):
    with pytest.raises(ValueError, match="no letter"):
        words_of(name)


@given(st.lists(words.map("_".join), min_size=1, max_size=12), st.sampled_from(ENDS))
def test_every_spelling_holds_a_quick_text(names: list[str], end: str):
    found = Names(names)
    texts = quick(found.words)
    assert all(any(text in written + end for text in texts) for written in found.written)


@given(st.lists(words.map("_".join), min_size=1, max_size=40), st.data())
def test_no_member_passes_the_search_unseen(names: list[str], data: st.DataObject):
    detector = Detector(Names(names))
    written = data.draw(st.sampled_from(sorted(detector.names.written)))
    colon = data.draw(st.text(" \t\n\r", max_size=3)) + ":" + data.draw(st.text(" \t\n\r", max_size=2))
    member = f'{{"a": [{{"{written}"{colon}"x"}}]}}'
    for text in (member, json.dumps({"url": f"https://a.example/?{written}=x"}), json.dumps({"text": member})):
        assert detector.in_body(text.encode())
        assert detector.in_text(text)


@given(st.sampled_from(sorted(NAMES.written)), st.data())
def test_escaped_letters_hide_nothing(written: str, data: st.DataObject):
    place = data.draw(st.integers(0, len(written) - 1))
    hidden = f'{{"{written[:place]}\\u{ord(written[place]):04x}{written[place + 1 :]}":"x"}}'
    assert DETECTOR.in_text(hidden)
    assert DETECTOR.in_body(hidden.encode()) or not written[place].isalpha()


@pytest.mark.parametrize(
    "text",
    [
        '{"page_url":"https://shop.example/?utm_source=a\\u0026utm_medium=b","title":"Gr\\u00fc\\u00dfe","n":-1e5}',
        '{"event_name":"x","user_id":"4711","amount":"-5","items":[1,2]}',
    ],
)
def test_ordinary_events_pass_at_a_glance(text: str):
    assert not DETECTOR.in_text(text)
    assert not DETECTOR.in_body(text.encode())


def test_spellings_are_of_the_words():
    assert set(spellings(("a", "b"))) >= {"ab", "a_b", "a-b", "a b", "aB", "A_B", "A-b".upper()}


@pytest.mark.parametrize(
    "text",
    [
        '{"page_url": "https://a.example/contact?utm_medium=email", "utm_medium": "email", "ip_address": "192.0.2.1"}',
        '{"user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148","event_type":"phone","title":"Last first"}',
    ],
)
def test_a_value_that_looks_like_a_name_is_none(text: str):
    assert not DETECTOR.in_text(text)
