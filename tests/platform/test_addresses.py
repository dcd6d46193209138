"""Client addresses, what is kept of them, visitor keys and origins."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.addresses import (
    client_address,
    normalize_origin,
    origin_allowed,
    parse_networks,
    stored_ip,
    visitor_key,
)
from mainstem.platform.settings import IpMode, SaltRotation

PROXIES = parse_networks(["10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1"])
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SALT = b"s" * 32


def scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", value.encode("latin-1", "replace")) for value in forwarded]
    return {"client": None if peer is None else (peer, 443), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:5555"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8:9::7]:443"], "2001:db8:9::7"),
        ("10.0.0.1", ["2001:DB8:9:0::7"], "2001:db8:9::7"),
        ("10.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("2001:db8:1::5", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", ["10.5.5.5, 10.6.6.6"], "10.5.5.5"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [",,, ,"], "10.0.0.1"),
        ("10.0.0.1", ["' or 1=1 --"], "10.0.0.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        (None, [], None),
        ("testclient", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_client_is_the_first_untrusted_hop_from_the_right(peer, forwarded, expected) -> None:
    assert client_address(scope(peer, *forwarded), PROXIES) == expected


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert client_address(scope("10.0.0.1", "198.51.100.1"), ()) == "10.0.0.1"


def test_a_client_cant_choose_its_address_by_a_longer_header() -> None:
    invented = ", ".join(f"9.9.9.{n % 256}" for n in range(5_000))
    assert client_address(scope("10.0.0.1", f"{invented}, 198.51.100.1"), PROXIES) == "198.51.100.1"


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_header_gives_an_address(left: str, right: str) -> None:
    found = client_address(scope("10.0.0.1", left, right), PROXIES)
    assert found is not None
    ip_address(found)


def test_networks_are_checked() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        parse_networks(["10.0.0.0/99"])


@pytest.mark.parametrize(
    ("mode", "ip", "expected"),
    [
        (IpMode.TRUNCATE, "203.0.113.77", "203.0.113.0"),
        (IpMode.TRUNCATE, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        (IpMode.TRUNCATE, "::ffff:203.0.113.77", "203.0.113.0"),
        (IpMode.KEEP, "2001:DB8::0:1", "2001:db8::1"),
        (IpMode.DROP, "203.0.113.77", None),
        (IpMode.TRUNCATE, "nonsense", None),
        (IpMode.TRUNCATE, " 203.0.113.77:8080", "203.0.113.0"),
        (IpMode.TRUNCATE, "203.0.113.077", None),
        (IpMode.TRUNCATE, "203.0.113.7\0", None),
        (IpMode.TRUNCATE, "\u0662.0.0.1", None),
        (IpMode.KEEP, "<script>", None),
        (IpMode.KEEP, None, None),
    ],
)
def test_what_is_kept_of_an_address(mode, ip, expected) -> None:
    assert stored_ip(ip, mode, SALT) == expected


def test_a_salted_address_depends_on_the_salt_and_hides_the_address() -> None:
    one = stored_ip("203.0.113.77", IpMode.SALT, SALT)
    assert one == stored_ip("203.0.113.77", IpMode.SALT, SALT)
    assert one != stored_ip("203.0.113.77", IpMode.SALT, b"t" * 32)
    assert one is not None
    assert len(one) == 32
    assert "203" not in one.split(".")


@given(st.ip_addresses(v=4))
def test_truncation_forgets_the_last_byte(address) -> None:
    neighbours = {stored_ip(str(type(address)(int(address) & ~255 | n)), IpMode.TRUNCATE, SALT) for n in (0, 1, 255)}
    assert len(neighbours) == 1


def key(tenant: int = 1, ip: str | None = "203.0.113.7", agent: str | None = "Firefox", moment=NOON, **changes) -> str:
    return visitor_key(tenant, ip, agent, moment, **{"secret": SALT, "rotation": SaltRotation.DAILY, **changes})


def test_a_visitor_stays_the_same_within_a_day_and_is_new_tomorrow() -> None:
    assert key(moment=NOON) == key(moment=NOON.replace(hour=23, minute=59))
    assert key(moment=NOON) != key(moment=NOON + timedelta(hours=12))
    assert key(moment=NOON).startswith("h:")
    assert len(key()) == 34


def test_without_rotation_a_visitor_stays_the_same() -> None:
    later = NOON + timedelta(days=400)
    assert key(rotation=SaltRotation.NEVER) == key(rotation=SaltRotation.NEVER, moment=later)


def test_every_part_and_the_secret_count() -> None:
    keys = {
        key(),
        key(tenant=2),
        key(ip="203.0.113.8"),
        key(agent="Safari"),
        key(ip=None),
        key(agent=None),
        key(secret=b"t" * 32),
        key(rotation=SaltRotation.NEVER),
    }
    assert len(keys) == 8


parts = st.tuples(st.integers(1, 99), st.ip_addresses().map(str) | st.none(), st.text(max_size=8))


@given(parts, parts)
def test_different_visitors_have_different_keys(one, other) -> None:
    assert (key(*one) == key(*other)) == (one == other)


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("https://shop.example", ["https://shop.example"], True),
        ("https://SHOP.example:443", ["https://shop.example"], True),
        ("http://shop.example", ["https://shop.example"], False),
        ("https://shop.example:8443", ["https://shop.example"], False),
        ("https://shop.example.evil.test", ["https://shop.example"], False),
        ("https://a.example.com", ["https://*.example.com"], True),
        ("https://a.b.example.com", ["https://*.example.com"], True),
        ("https://example.com", ["https://*.example.com"], False),
        ("https://.example.com", ["https://*.example.com"], False),
        ("https://evilexample.com", ["https://*.example.com"], False),
        ("http://localhost:3000", ["http://localhost:3000"], True),
        ("https://any.test", ["*"], True),
        ("null", ["https://shop.example"], False),
        ("", ["https://shop.example"], False),
        ("https://user@shop.example", ["https://shop.example"], False),
        ("https://shop.example", [], False),
    ],
)
def test_origins_match_by_scheme_host_and_port(origin, allowed, expected) -> None:
    assert origin_allowed(origin, allowed) is expected


@given(st.text(max_size=40))
def test_no_origin_breaks_the_match(origin: str) -> None:
    assert origin_allowed(origin, ["https://*.example.com"]) in {True, False}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://*.Example.com", "https://*.example.com"),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
    ],
)
def test_an_origin_has_one_form(text: str, expected: str) -> None:
    assert normalize_origin(text) == expected


@pytest.mark.parametrize(
    "text",
    ["shop.example", "https://", "ftp://shop.example", "https://shop.example/path", "https://*", "https://*.com"],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"origin|\*"):
        normalize_origin(text)
