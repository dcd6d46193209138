"""Redirect rules, variants, targets, slugs and the decision of a visit: the pure parts of links."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.links import rules, variants
from mainstem.links.resolve import Fate, Link, destination, location, query_of, resolve
from mainstem.links.rules import Condition, ConditionType, Rule, Visit, decide, holds, languages_of, parse_rules
from mainstem.links.slugs import ALPHABET, RESERVED, fault_of, made_up, normalized
from mainstem.links.targets import place_of, safe_target, utm_of, with_parameters
from mainstem.links.variants import choose, parse_variants
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.web.agents import Agent, agent_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IPHONE = agent_of(
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
DESKTOP = agent_of(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)


def visit(agent: Agent = DESKTOP, **fields: object) -> Visit:
    return Visit(now=NOW, agent=agent, **fields)


@pytest.mark.parametrize(
    ("type_", "value", "key", "told", "holds_"),
    [
        ("device", "ios", "", visit(IPHONE), True),
        ("device", "mobile", "", visit(IPHONE), True),
        ("device", "windows", "", visit(IPHONE), False),
        ("device", "desktop", "", visit(), True),
        ("browser", "chrome", "", visit(), True),
        ("browser", "safari", "", visit(IPHONE), True),
        ("browser", "firefox", "", visit(), False),
        ("language", "de", "", visit(languages=("en", "de-AT")), True),
        ("language", "de-DE", "", visit(languages=("de-AT", "de")), False),
        ("language", "DE_at", "", visit(languages=("de-AT",)), True),
        ("query-param", "b", "a", visit(query=(("a", "b"),)), True),
        ("query-param", "b", "a", visit(query=(("a", "c"),)), False),
        ("any-value-query-param", "", "a", visit(query=(("a", "c"),)), True),
        ("any-value-query-param", "", "a", visit(), False),
        ("valueless-query-param", "", "a", visit(query=(("a", ""),)), True),
        ("valueless-query-param", "", "a", visit(query=(("a", "c"),)), False),
        ("ip-address", "192.0.2.7", "", visit(ip="192.0.2.7"), True),
        ("ip-address", "192.0.2.0/24", "", visit(ip="192.0.2.7"), True),
        ("ip-address", "192.0.*.7", "", visit(ip="192.0.2.7"), True),
        ("ip-address", "192.0.2.*", "", visit(ip="192.0.3.7"), False),
        ("ip-address", "2001:db8::/32", "", visit(ip="192.0.2.7"), False),
        ("ip-address", "192.0.2.0/24", "", visit(), False),
        ("geolocation-country-code", "de", "", visit(country="DE"), True),
        ("geolocation-country-code", "de", "", visit(), False),
        ("geolocation-city-name", "köln", "", visit(city="Köln"), True),
        ("before-date", "2026-05-01T12:00:01Z", "", visit(), True),
        ("before-date", "2026-05-01T12:00:00Z", "", visit(), False),
        ("after-date", "2026-05-01T14:00:00+02:00", "", visit(), True),
        ("after-date", "2026-05-02", "", visit(), False),
    ],
)
def test_conditions(type_, value, key, told, holds_):
    (rule,) = parse_rules(
        [{"target_url": "https://a.example", "conditions": [{"type": type_, "value": value, "key": key}]}]
    )
    assert holds(rule.conditions[0], told) is holds_


def test_every_type_is_one_of_shlinks_eleven():
    assert {str(one) for one in ConditionType} == set(
        "device language query-param any-value-query-param valueless-query-param ip-address geolocation-country-code "
        "geolocation-city-name before-date after-date browser".split()
    )


def test_all_conditions_must_hold_and_the_first_rule_wins():
    told = [Condition(ConditionType.DEVICE, "desktop"), Condition(ConditionType.COUNTRY, "DE")]
    found = (Rule("a", tuple(told)), Rule("b", (told[0],)), Rule("c", (told[0],)))
    assert decide(found, visit()) == 1
    assert decide(found, visit(country="DE")) == 0
    assert decide(found, visit(IPHONE)) is None


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", ("de-AT", "de", "en")),
        ("en;q=0.1, fr", ("fr", "en")),
        ("fr;q=0, *", ()),
        ("", ()),
        (None, ()),
        (";;;,=,q=x", ()),
    ],
)
def test_languages_are_read_by_preference(header, languages):
    assert languages_of(header) == languages


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "key", "value", "target_url", "conditions", "weight"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.sampled_from(["target_url", "conditions", "weight"]), anything), max_size=3))
def test_rules_and_variants_are_read_or_refused_with_a_field(given_):
    for parse, written in ((parse_rules, rules.as_json), (parse_variants, variants.as_json)):
        try:
            found = parse(given_)
        except InvalidFieldError as error:
            assert error.field  # noqa: PT017 - one of two good ends
        else:
            assert parse(json.loads(json.dumps(written(found)))) == found


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.text(max_size=10), st.integers(0, 9))
def test_a_visitor_always_meets_the_same_variant(weights, visitor, link_id):
    told = parse_variants([{"target_url": "https://a.example", "weight": weight} for weight in weights])
    place = choose(told, visitor, link_id)
    assert 0 <= place < len(weights)
    assert choose(told, visitor, link_id) == place


def test_variants_are_met_by_weight():
    told = parse_variants([{"target_url": "https://a.example", "weight": weight} for weight in (7, 2, 1)])
    met = Counter(choose(told, f"h:{number}", 1) for number in range(5_000))
    assert [round(met[place] / 500) for place in range(3)] == [7, 2, 1]


@pytest.mark.parametrize(
    ("given_", "made"),
    [
        ("HTTPS://Example.COM", "https://example.com/"),
        ("http://example.com:80/A b".replace(" ", "%20"), "http://example.com/A%20b"),
        ("https://example.com:8443/x?y=ü#é", "https://example.com:8443/x?y=%C3%BC#%C3%A9"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
    ],
)
def test_targets_have_one_form(given_, made):
    assert safe_target(given_) == made
    assert safe_target(made) == made


@given(st.text(max_size=60) | st.from_regex(r"[a-zA-Z]{1,12}:[/\\]{0,3}[^ ]{0,30}", fullmatch=True))
def test_only_safe_targets_come_through(text):
    try:
        made = safe_target(text)
    except InvalidFieldError as error:
        assert error.field == "target_url"  # noqa: PT017 - one of two good ends
        return
    parts = urlsplit(made)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert "@" not in parts.netloc
    assert made.isascii()
    assert not set("\r\n\\ \x00") & set(made)
    ((name, value), *_) = location(made)
    assert (name, value.decode()) == (b"location", made)


def test_other_schemes_must_be_allowed():
    assert safe_target("mailto:ann@example.com", ["https", "mailto"]) == "mailto:ann@example.com"
    for never in ("javascript:x", "data:x", "vbscript:x"):
        with pytest.raises(InvalidFieldError):
            safe_target(never, ["javascript", "data", "vbscript"])


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)


@given(
    st.lists(st.tuples(names, st.text(max_size=5)), max_size=4),
    st.lists(st.tuples(names, st.text(max_size=5)), max_size=4),
)
def test_parameters_are_set_and_the_others_stay(before, added):
    url = with_parameters(with_parameters("https://example.com/p#f", before), added)
    found = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    set_ = {name for name, _ in added}
    assert found == [pair for pair in before if pair[0] not in set_] + added
    assert urlsplit(url).fragment == "f"


def test_what_stays_is_not_written_anew():
    assert with_parameters("https://a.example/?sig=a%2Fb+c&x=1", [("x", "2")]) == "https://a.example/?sig=a%2Fb+c&x=2"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://hub.example/a/b+?x=1", ("hub.example", "a/b")),
        ("http://hub.example/track/a", ("hub.example", "a")),
        ("https://hub.example/", None),
        ("https://other.example/a", None),
        ("mailto:a@hub.example", None),
    ],
)
def test_own_addresses_are_known(url, place):
    assert place_of(url, ["hub.example"]) == place


def test_made_up_slugs_are_allowed_ones():
    for _ in range(200):
        slug = made_up()
        assert fault_of(slug) is None
        assert set(slug) <= set(ALPHABET)


@given(st.text(max_size=120))
def test_an_allowed_slug_is_an_address_of_its_own(slug):
    slug = normalized(slug)
    if fault_of(slug) is None:
        assert slug.partition("/")[0].lower() not in RESERVED
        assert not slug.endswith(("+", "/"))
        assert urlsplit(f"http://h/{slug}").path == f"/{slug}"


def link(**fields: object) -> Link:
    return Link(tenant_id=1, link_id=2, host="", slug="a", tracking_id="a", target_url="https://example.com/", **fields)


optional_times = st.none() | st.integers(-3, 3).map(lambda hours: NOW + timedelta(hours=hours))


@given(
    st.booleans(),
    optional_times,
    optional_times,
    st.none() | st.just("hash"),
    st.booleans(),
    st.booleans(),
    st.none() | st.just("https://over.example/"),
)
def test_the_decision_is_total_and_keeps_its_order(active, since, until, password, unlocked, left, instead):  # noqa: PLR0917
    told = link(active=active, valid_since=since, expires_at=until, password_hash=password, expired_url=instead)
    outcome = resolve(told, visit(), "h:1", unlocked=unlocked, clicks_left=left)
    if not active:
        expected = Fate.INACTIVE
    elif since is not None and since > NOW:
        expected = Fate.NOT_YET
    elif until is not None and until <= NOW:
        expected = Fate.EXPIRED
    elif password and not unlocked:
        expected = Fate.PASSWORD
    elif not left:
        expected = Fate.USED_UP
    else:
        expected = Fate.GO
    assert outcome.fate is expected
    assert (outcome.target_url is not None) == (
        expected is Fate.GO or (expected in {Fate.EXPIRED, Fate.USED_UP} and instead is not None)
    )
    # what the hot path leaves out of account can never bar a visit
    if told.plain:
        assert outcome.fate in {Fate.GO, Fate.USED_UP}


@given(st.binary(max_size=60))
def test_any_query_is_passed_on_safely(query):
    url = destination(link(append_click=True), "https://example.com/?a=1#f", query_of(query), "id")
    ((_, value), *_) = location(url)
    assert b"\n" not in value
    assert b"\r" not in value
    assert urlsplit(url).netloc == "example.com"
    assert dict(parse_qsl(urlsplit(url).query))["ms_click"] == "id"


def test_campaigns_are_read_from_the_address():
    assert utm_of("https://a.example/?utm_source=x&utm_term=y#utm_medium=z") == ("x", None, None, "y", None)
