"""Where outgoing calls may go: addresses that are open, and targets as people write them."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import netaddr
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from mainstem.platform.addresses import parse_networks
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.outbound import _as_sent
from mainstem.platform.reach import check_target, is_open

SPECIAL = """
0.0.0.0/8              this network                    RFC 791
0.0.0.0/32             this host                       RFC 1122
10.0.0.0/8             private                         RFC 1918
100.64.0.0/10          shared by carriers              RFC 6598
127.0.0.0/8            loopback                        RFC 1122
169.254.0.0/16         link-local, metadata of clouds  RFC 3927
172.16.0.0/12          private                         RFC 1918
192.0.0.0/24           IETF protocols                  RFC 6890
192.0.0.0/29           continuity of IPv4              RFC 7335
192.0.0.8/32           dummy                           RFC 7600
192.0.0.9/32           port control, anycast           RFC 7723
192.0.0.10/32          TURN, anycast                   RFC 8155
192.0.0.170/31         discovery of NAT64              RFC 8880
192.0.2.0/24           documentation                   RFC 5737
192.31.196.0/24        AS112                           RFC 7535
192.52.193.0/24        multicast tunnels               RFC 7450
192.88.99.0/24         6to4 relays, given up           RFC 7526
192.168.0.0/16         private                         RFC 1918
192.175.48.0/24        AS112                           RFC 7534
198.18.0.0/15          benchmarks                      RFC 2544
198.51.100.0/24        documentation                   RFC 5737
203.0.113.0/24         documentation                   RFC 5737
224.0.0.0/4            multicast                       RFC 5771
233.252.0.0/24         multicast, documentation        RFC 6676
240.0.0.0/4            reserved                        RFC 1112
255.255.255.255/32     broadcast                       RFC 919
::/128                 unspecified                     RFC 4291
::1/128                loopback                        RFC 4291
::/96                  IPv4-compatible, given up       RFC 4291
::ffff:127.0.0.0/104   IPv4-mapped loopback            RFC 4291
::ffff:0:0:0/96        IPv4-translated                 RFC 2765
64:ff9b::/96           NAT64                           RFC 6052
64:ff9b:1::/48         NAT64, local                    RFC 8215
100::/64               discard                         RFC 6666
100:0:0:1::/64         dummy                           RFC 9780
200::/7                given up                        RFC 4048
2001::/23              IETF protocols                  RFC 2928
2001::/32              Teredo                          RFC 4380
2001:1::1/128          port control, anycast           RFC 7723
2001:1::2/128          TURN, anycast                   RFC 8155
2001:1::3/128          DNS-SD, anycast                 RFC 9665
2001:2::/48            benchmarks                      RFC 5180
2001:3::/32            multicast tunnels               RFC 7450
2001:4:112::/48        AS112                           RFC 7535
2001:10::/28           ORCHID, given up                RFC 4843
2001:20::/28           ORCHID                          RFC 7343
2001:30::/28           drones                          RFC 9374
2001:db8::/32          documentation                   RFC 3849
2002::/16              6to4                            RFC 3056
2620:4f:8000::/48      AS112                           RFC 7534
3fff::/20              documentation                   RFC 9637
4000::/2               not given out                   RFC 4291
8000::/2               not given out                   RFC 4291
5f00::/16              segment routing                 RFC 9602
fc00::/7               unique local                    RFC 4193
fe80::/10              link-local                      RFC 4291
fec0::/10              site-local, given up            RFC 3879
ff00::/8               multicast                       RFC 4291
"""
"""IANA's registries of special-purpose addresses and of multicast, and what is not given out. All of them are closed."""

CLOSED_ALTHOUGH_GLOBAL = {
    "192.0.0.0/24": "its two anycast addresses are services of the next network: never a receiver",
    "192.31.196.0/24": "AS112 answers DNS for private names, and whoever is next announces it",
    "192.52.193.0/24": "a relay of multicast, wherever it is next",
    "192.88.99.0/24": "once relays of 6to4, by which any IPv6 target was reached",
    "192.175.48.0/24": "as AS112 above",
    "224.0.0.0/4": "TCP has no multicast",
    "::ffff:0:0/96": "netaddr's judgement: mapped addresses are looked at as themselves, which has a test of its own",
    "::/3": "holds nothing that is given out; NAT64 leads to any IPv4 address, private ones too",
    "4000::/2": "not given out",
    "8000::/1": "not given out, and multicast",
    "2001::/23": "protocols, anycast, benchmarks, identities: no receivers",
    "2001:db8::/32": "documentation, which some versions take for global",
    "2002::/16": "6to4 leads to any IPv4 address",
    "2620:4f:8000::/48": "as AS112 above",
    "3fff::/20": "documentation since 2024: older libraries don't know it",
}
"""Where an independent judgement says global, and we say closed; each with the reason."""

NETWORKS = [ip_network(line.split()[0]) for line in SPECIAL.strip().splitlines()]
DIFFERENCES = [ip_network(text) for text in CLOSED_ALTHOUGH_GLOBAL]


def _wide(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


def _edges():
    for network in NETWORKS:
        for number in (int(network[0]) - 1, int(network[0]), int(network[-1]), int(network[-1]) + 1):
            if 0 <= number < 2**network.max_prefixlen:
                yield IPv4Address(number) if network.version == 4 else IPv6Address(number)


ADDRESSES = st.one_of(
    st.integers(0, 2**32 - 1).map(IPv4Address),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    # most of all addresses are in none of the networks, and most of the given out ones near their beginning
    st.builds(
        lambda network, number: network[number % network.num_addresses], st.sampled_from(NETWORKS), st.integers(0)
    ),
    st.integers(0x2000, 0x3FFF).flatmap(lambda head: st.integers(head << 112, (head + 1 << 112) - 1)).map(IPv6Address),
    st.sampled_from(list(_edges())),
)


@pytest.mark.parametrize("line", SPECIAL.strip().splitlines(), ids=lambda line: line.split()[0])
def test_special_addresses_are_closed(line):
    network = ip_network(line.split()[0])
    assert not is_open(network[0])
    assert not is_open(network[-1])
    assert not is_open(network[network.num_addresses // 2])


@pytest.mark.parametrize(
    "text",
    """
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255
    192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    2000:: 2001:200:: 2001:4860:4860::8888 2001:db7:ffff:: 2001:db9:: 2003:: 2606:4700:4700::1111 2620:4f:7fff::
    2620:4f:8001:: 2a00:1450:4001::1 3ffe:: 3fff:1000:: ::ffff:8.8.8.8
    """.split(),
)
def test_public_addresses_are_open(text):
    assert is_open(ip_address(text))


@given(ADDRESSES)
def test_nothing_is_open_that_ipaddress_calls_not_global(address):
    assert address.is_global or not is_open(address)


@given(ADDRESSES)
def test_nothing_is_open_that_netaddr_calls_not_global(address):
    mapped = getattr(address, "ipv4_mapped", None)
    assert netaddr.IPAddress(str(mapped or address)).is_global() or not is_open(address)


@given(ADDRESSES)
def test_where_we_are_stricter_there_is_a_reason(address):
    if address.is_global and not is_open(address):
        assert any(address.version == network.version and address in network for network in DIFFERENCES)


@pytest.mark.parametrize("network", DIFFERENCES, ids=str)
def test_every_reason_is_about_something(network):
    ends = [network[0], network[-1], network[network.num_addresses // 2]]
    if network != ip_network("::ffff:0:0/96"):
        assert not any(map(is_open, ends))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("8.8.8.8"))
def test_a_mapped_address_is_looked_at_as_itself(address):
    mapped = IPv6Address(f"::ffff:{address}")
    assert is_open(mapped) == is_open(address)
    assert is_open(mapped, (ip_network(address),))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))
def test_other_ways_to_put_ipv4_into_ipv6_are_closed(number, port):
    teredo = (0x2001_0000 << 96) | (0x0102_0304 << 64) | ((port ^ 0xFFFF) << 32) | (number ^ 0xFFFF_FFFF)
    for embedded in (
        number,  # compatible
        (0xFFFF << 48) | number,  # translated
        (0x0064_FF9B << 96) | number,  # NAT64
        (0x0064_FF9B_0001 << 80) | number,
        (0x2002 << 112) | (number << 80) | 1,  # 6to4
        teredo,
    ):
        assert not is_open(IPv6Address(embedded))


@given(ADDRESSES, ADDRESSES, st.integers(0, 128))
def test_allowed_networks_open_exactly_themselves(address, inside, length):
    network = ip_network((inside, min(length, inside.max_prefixlen)), strict=False)
    within = any(
        one is not None and one.version == network.version and one in network
        for one in (address, getattr(address, "ipv4_mapped", None))
    )
    if getattr(address, "ipv4_mapped", None) is not None and network.version == 6:
        within = False  # looked at as IPv4
    assert is_open(address, (network,)) == (within or is_open(address))


@pytest.mark.parametrize(
    "url",
    """
    https://example.com
    https://example.com:8443/hook
    http://example.com./hook
    https://example.com/a%7Eb%2fc?x=%41&y=+%20&&=#
    https://user.example/?q=a@b
    https://bücher.example/ü?q=ä
    https://under_score.internal/hook
    https://8.8.8.8/
    https://[2606:4700:4700::1111]:443/
    https://[::ffff:8.8.8.8]/
    https://4.example/
    https://1.2.3.4.example/
    https://0x7f.example/
    http://intranet/
    """.split(),
)
def test_a_good_target_is_returned_as_it_was_given(url):
    assert check_target(url) == url


def test_a_scheme_in_capitals_is_written_small():
    assert check_target("HTTPS://Example.com/Hook") == "https://Example.com/Hook"


@pytest.mark.parametrize(
    "host",
    """
    127.0.0.1 127.255.255.254 127.1 127.0.1 127.00.0.1 0177.0.0.1 0x7f.0.0.1 0x7f.1 0X7F000001 0x7f000001 2130706433
    017700000001 00000177.1 127.0.0.1. 127.1. 127.0.0.1.. 0 0.0.0.0 0x0 00 10.1 3232235777 0300.0250.1.1 192.168.257
    169.254.169.254 0xa9fea9fe 2852039166 100.100.100.200 192.0.0.192 [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:7f00:0001] [::ffff:a9fe:a9fe] [64:ff9b::7f00:1] [2002:7f00:1::]
    [fd00:ec2::254] [fe80::1] [fe80::1%25eth0] [fe80::1%eth0] [fe80::1%25] [::1%25lo]
    localhost LOCALHOST localhost. a.localhost a.b.LocalHost.
    """.split()
    # what looks alike: full stops and letters of other scripts, which IDNA takes for ours
    + ["127。0。0。1", "127｡1", "①②⑦.⓪.⓪.①", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"]
    + [_wide(text) for text in ("127.0.0.1", "0", "2130706433", "0x7f.1", "localhost")],
)
def test_spellings_of_private_targets_are_blocked(host):
    with pytest.raises(InvalidFieldError) as caught:
        check_target(f"http://{host}:8080/hook")
    assert (caught.value.code, caught.value.field) == ("target_blocked", "url")
    assert "OUTBOUND_ALLOW" in caught.value.detail


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "names a host"),
        ("example.com", "names a host"),
        ("//example.com/", "names a host"),
        ("https:/example.com", "names a host"),
        ("https:example.com", "names a host"),
        ("https://", "names a host"),
        ("https:///hook", "names a host"),
        ("ftp://example.com/", "names a host"),
        ("file:///etc/passwd", "names a host"),
        ("gopher://example.com/", "names a host"),
        ("javascript:alert(1)", "names a host"),
        ("http://a@127.0.0.1/", "Credentials"),
        ("http://example.com@127.0.0.1/", "Credentials"),
        ("http://example.com:80@127.0.0.1/", "Credentials"),
        ("http://:@example.com/", "Credentials"),
        ("http://127.0.0.1#@example.com/", "#fragment"),
        ("http://example.com/#x", "#fragment"),
        ("http://example.com\\@127.0.0.1/", "no address"),
        ("http://127.0.0.1\\.example.com/", "no address"),
        ("http://example.com:0/", "Port 0"),
        ("http://example.com:65536/", "no address"),
        ("http://example.com:x/", "no address"),
        ("http://:80/", "no address"),
        ("http://[::1/", "no address"),
        ("http://[::1]x/", "no address"),
        ("http://exa mple.com/", "spaces"),
        ("http://example.com/\r\nX-Injected: yes", "spaces"),
        ("http://example.com/\x00", "spaces"),
        ("http://example.com/\x7f", "spaces"),
        (" http://example.com/", "spaces"),
        ("http://example.com/" + "a" * 2030, "2,048"),
        ("http://example.com/\ud800", "no address"),
        ("http://\ud800.example/", "no address"),
        ("http://xn--/", "no address"),
        ("http://a..example/", "no name"),
        ("http://.example/", "no name"),
        ("http://" + "a" * 64 + ".example/", "no name"),
        ("http://" + "a." * 127 + "example/", "no name"),
        ("http://localhost%00.example/", "no name"),
        ("http://%6cocalhost/", "no name"),
        ("http://[v1.fe80::a]/", "no name"),
        ("http://%31%32%37.0.0.1/", "four decimal"),
        ("http://1.2.3.4.5/", "four decimal"),
        ("http://256.1.1.1/", "four decimal"),
        ("http://8.8.8.8./", "four decimal"),
        ("http://134744072/", "four decimal"),
        ("http://example.0x7f/", "four decimal"),
    ],
)
def test_what_is_no_target_is_refused_with_the_reason(url, sentence):
    with pytest.raises(InvalidFieldError, match=sentence) as caught:
        check_target(url, field="target_url")
    assert (caught.value.code, caught.value.field) == ("invalid_field", "target_url")


def test_allowed_networks_open_targets():
    allow = parse_networks(["10.20.0.0/16", "fd00::/8"])
    assert check_target("http://10.20.3.4/", allow) == "http://10.20.3.4/"
    assert check_target("http://[::ffff:10.20.3.4]/", allow) == "http://[::ffff:10.20.3.4]/"
    assert check_target("http://[fd12::1]/", allow) == "http://[fd12::1]/"
    for closed in ("http://10.21.0.1/", "http://[fe80::1]/", "http://127.0.0.1/"):
        with pytest.raises(InvalidFieldError):
            check_target(closed, allow)
    # which network it is in is known when it is called
    assert check_target("http://localhost/", allow) == "http://localhost/"


def _spelled(number: int, parts: int, bases: list[str]) -> str:
    """Write an IPv4 address in 1 to 4 parts, each in a base."""
    head = [(number >> 24 - 8 * place) & 0xFF for place in range(parts - 1)]
    whole = [*head, number & (1 << 32 - 8 * (parts - 1)) - 1]
    return ".".join(base.format(part) for base, part in zip(bases, whole, strict=False))


@given(
    st.integers(0, 2**32 - 1) | st.integers(0x7F000000, 0x7FFFFFFF),
    st.integers(1, 4),
    st.lists(st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "00{:o}", "0x00{:x}"]), min_size=4, max_size=4),
)
def test_an_address_is_accepted_in_its_usual_form_alone(number, parts, bases):
    usual, spelled = str(IPv4Address(number)), _spelled(number, parts, bases)
    for host in {usual, spelled}:
        if host == usual and is_open(IPv4Address(number)):
            assert check_target(f"http://{host}/") == f"http://{host}/"
        else:
            with pytest.raises(InvalidFieldError):
                check_target(f"http://{host}/")


_URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTP://", "//", ""]),
        st.text(max_size=12) | st.sampled_from(["127.0.0.1", "example.com", "[::1]", "a@b", "[fe80::1%25x]"]),
        st.sampled_from(["", ":80", ":0", ":99999", ":x"]),
        st.text(max_size=12).map("/{}".format) | st.text(max_size=12),
    ),
)


@given(st.text() | _URLS)
def test_whatever_is_given_is_a_target_that_can_be_called_or_refused(url):
    try:
        found = check_target(url)
    except InvalidFieldError:
        return
    assert found.startswith(("http://", "https://"))
    assert len(found.encode()) <= 4 * 2048
    sent = _as_sent(found)
    assert str(sent).isascii()
    assert sent.host is not None
    assert sent.host.lower() == URL(url).host
