"""What is personal in an event: at any depth, however written, and nothing else is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.pii.identify import Identifier, Kind
from mainstem.pii.names import Names
from mainstem.pii.scan import Act, masked, rewritten, scan
from mainstem.platform.settings import Settings

NAMES = Names(Settings(_env_file=None).pii_fields)

plain_keys = st.text(max_size=12).filter(lambda key: NAMES.find(key) is None and NAMES.identity(key) is None)
plain_texts = st.text(max_size=20).filter(lambda text: not {"@", "=", "%"} & set(text) and not text.startswith("ms1:"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain_texts
trees = st.recursive(
    scalars, lambda kids: st.lists(kids, max_size=3) | st.dictionaries(plain_keys, kids, max_size=3), max_leaves=12
)


def sealed(text: str) -> str:
    return rewritten(text, scan(text, NAMES).edits, lambda field, _value: f"<{field}>", "SUBJECT")


def found(text: str) -> list[tuple[str, str]]:
    return [(edit.field, edit.value) for edit in scan(text, NAMES).edits]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"email":"a@b.cc"}', '{"email":"<email>"}'),
        ('{ "eMail" : "a@b.cc" }', '{ "eMail" : "<email>" }'),
        ('{"a":{"b":[{"Phone-Number":"1"}]}}', '{"a":{"b":[{"Phone-Number":"<phonenumber>"}]}}'),
        ('{"phone":43660123456}', '{"phone":"<phone>"}'),
        ('{"email":["a@b.cc","x"]}', '{"email":["<email>","<email>"]}'),
        (
            '{"full_name":{"first":"A","n":[1,null,true]}}',
            '{"full_name":{"first":"<fullname>","n":["<fullname>",null,true]}}',
        ),
        ('{"email":null,"phone":"","x":1}', '{"email":null,"phone":"","x":1}'),
        ('{"email":"a","email":"b"}', '{"email":"<email>","email":"<email>"}'),
        ('{"to":"a@b.cc"}', '{"to":"<email>"}'),
        ('{"\\u0065mail":"a"}', '{"\\u0065mail":"<email>"}'),
        ('{"to":"a\\u0040b.cc"}', '{"to":"<email>"}'),
        ('{"x":"ms1:anything"}', '{"x":"<text>"}'),
        ('{"user_id":"A@b.cc"}', '{"user_id":"SUBJECT"}'),
        ('{"user_id":"+43 660 123456","n":1.50e3}', '{"user_id":"SUBJECT","n":1.50e3}'),
        ('{"user_id":"42","name":"Tour"}', '{"user_id":"42","name":"Tour"}'),
        ('{"u":"https://a.at/x?Email=q&b=1"}', '{"u":"https://a.at/x?Email=***&b=1"}'),
        ('{"u":"https://a.at/x?u=a%40b.cc&b=1#c"}', '{"u":"https://a.at/x?u=***&b=1#c"}'),
        ('{"u":"https://a.at/un/a@b.cc/x"}', '{"u":"https://a.at/un/***/x"}'),
        ('{"u":"https://me:pw@a.at/x"}', '{"u":"https://me:pw@a.at/x"}'),
        (
            '{"name":"Anna","email":"a@b.cc","x":{"name":"Tour"}}',
            '{"name":"<name>","email":"<email>","x":{"name":"Tour"}}',
        ),
        (
            '[{"Name":"Anna","first_name":"A"},{"name":"Tour"}]',
            '[{"Name":"<name>","first_name":"<firstname>"},{"name":"Tour"}]',
        ),
        (r'{"body":"{\"first_name\":\"Anna\"}"}', '{"body":"<json>"}'),
        (r'{"body":"{\"n\":1}"}', r'{"body":"{\"n\":1}"}'),
        (r'{"body":"[\"https://a.at/?email=q\"]"}', r'{"body":"[\"https://a.at/?email=***\"]"}'),
        ('{"email":"cut in two', '{"email":"<email>"'),
        ('{"email":"cut \\', '{"email":"<email>"'),
        ('}]{"email":"x"', '}]{"email":"<email>"'),
    ],
)
def test_finds_at_any_depth_and_in_any_spelling(text: str, expected: str):
    assert sealed(text) == expected


@given(trees)
def test_what_is_not_personal_stays_byte_for_byte(tree: object):
    text = json.dumps({"data": tree}, ensure_ascii=False)
    assert sealed(text) == text


@given(trees, st.text(min_size=1, max_size=30), st.booleans())
def test_a_value_is_found_whatever_surrounds_it(tree: object, value: str, ascii_: bool):
    text = json.dumps([tree, {"x": [{"first_name": value}]}, tree], ensure_ascii=ascii_)
    assert found(text) == [("firstname", json.dumps(value))]
    assert json.loads(sealed(text)) == [tree, {"x": [{"first_name": "<firstname>"}]}, tree]


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str):
    masked(text, scan(text, NAMES).edits)


def test_one_person_is_known_by_what_stands_least_deep():
    text = '{"friend":{"email":"b@b.cc"},"email":" A@B.cc","user_id":7,"phone":"0043 660/123-456"}'
    assert scan(text, NAMES).identifiers == [
        Identifier(Kind.EMAIL, "a@b.cc"),
        Identifier(Kind.PHONE, "43660123456"),
        Identifier(Kind.USER, "7"),
    ]


@pytest.mark.parametrize("nobody", ["", "guest", "0", "null", "Anonymous"])
def test_nobody_is_no_user(nobody: str):
    assert scan(json.dumps({"user_id": nobody, "email": "a@b.cc"}), NAMES).identifiers == [
        Identifier(Kind.EMAIL, "a@b.cc")
    ]


def test_masked_json_stays_json():
    text = '{"email":"a@b.cc","phone":[1],"user_id":"a@b.cc","k":2}'
    assert json.loads(masked(text, scan(text, NAMES).edits)) == {
        "email": "***",
        "phone": ["***"],
        "user_id": "***",
        "k": 2,
    }


def test_sealed_values_stay_where_they_may():
    token = "ms1:00000000-0000-4000-8000-000000000000:email:" + "a" * 22 + ":" + "b" * 40
    text = json.dumps({"email": token, "first_name": "Anna"})
    assert [edit.field for edit in scan(text, NAMES, keep_sealed=True).edits] == ["firstname"]
    assert [edit.act for edit in scan(text, NAMES).edits] == [Act.SEAL, Act.SEAL]
