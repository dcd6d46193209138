"""What one line of an access log says, and the identity that a line has in its file."""

import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.platform.errors import BadRequestError
from mainstem.site.access_log.parse import Hit, Malformed, Request, parse_line, parse_request, parse_time
from mainstem.site.access_log.reader import MAX_LINE_BYTES, Line, LineReader, Ordinals

COMMON = '192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12'
COMBINED = COMMON + ' "https://other.example/" "Mozilla/5.0 (X11)"'


def hit(line: str) -> Hit:
    found = parse_line(line)
    assert isinstance(found, Hit), found
    return found


def every_line(reader: LineReader) -> Iterator[Line]:
    """Yield the lines one by one, so that those before a failure are kept."""
    while chunk := reader.read(10_000):
        yield from chunk


class TestFormats:
    def test_combined(self) -> None:
        assert hit(COMBINED) == Hit(
            vhost=None,
            client="192.0.2.7",
            occurred_at=datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC),
            request=Request("GET", "/a", "HTTP/1.1"),
            status=200,
            size=12,
            referrer="https://other.example/",
            user_agent="Mozilla/5.0 (X11)",
            combined=True,
        )

    def test_common_has_no_referrer_and_no_agent(self) -> None:
        found = hit(COMMON)
        assert (found.referrer, found.user_agent, found.combined) == (None, None, False)

    @pytest.mark.parametrize("tail", [' "10.0.0.1"', " 0.003 0.002 .", ' "-" rt=1.2'])
    def test_further_fields_are_ignored(self, tail: str) -> None:
        assert hit(COMBINED + tail) == hit(COMBINED)

    @pytest.mark.parametrize(
        ("prefix", "vhost", "client"),
        [
            ("www.example.com:443 192.0.2.7 - -", "www.example.com:443", "192.0.2.7"),
            ("www.example.com 2001:db8::1 - -", "www.example.com", "2001:db8::1"),
            ("2001:db8::7 - -", None, "2001:db8::7"),
            ("host.example.net - -", None, "host.example.net"),
            ("192.0.2.7 - frank", None, "192.0.2.7"),
            ("192.0.2.7 - jo van doe", None, "192.0.2.7"),
            ("192.0.2.7 ident -", None, "192.0.2.7"),
        ],
    )
    def test_who(self, prefix: str, vhost: str | None, client: str) -> None:
        found = hit(COMBINED.replace("192.0.2.7 - -", prefix, 1))
        assert (found.vhost, found.client) == (vhost, client)

    def test_dashes_mean_absent(self) -> None:
        found = hit('192.0.2.7 - - [17/May/2015:10:05:03 +0000] "-" 408 - "-" "-"')
        assert found[3:8] == (Request(None, None, None), 408, None, None, None)


class TestEscapes:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            (r"say \"hi\"", 'say "hi"'),
            (r"back\\slash", "back\\slash"),
            (r"caf\xc3\xa9", "café"),
            (r"tab\tend", "tab\tend"),
            (r"nul\x00", "nul\ufffd"),
            (r"half \xc3", "half \ufffd"),
            (r"quote \x22", 'quote "'),
            ("plain ✓", "plain ✓"),
        ],
    )
    def test_quoted_fields(self, written: str, meant: str) -> None:
        assert hit(f'{COMMON} "-" "{written}"').user_agent == meant

    @given(st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=60))
    def test_what_a_server_escapes_comes_back(self, agent: str) -> None:
        written = agent.replace("\\", "\\\\").replace('"', '\\"')
        assert hit(f'{COMMON} "-" "{written}"').user_agent == (None if agent in {"", "-"} else agent)


class TestRequests:
    @pytest.mark.parametrize(
        ("text", "method", "target", "protocol"),
        [
            ("GET / HTTP/1.1", "GET", "/", "HTTP/1.1"),
            ("get /x HTTP/2", "GET", "/x", "HTTP/2"),
            ("GET /old", "GET", "/old", None),
            ("GET /with blank HTTP/1.0", "GET", "/with blank", "HTTP/1.0"),
            ("GET http://other.example/x HTTP/1.1", "GET", "http://other.example/x", "HTTP/1.1"),
            ("OPTIONS * HTTP/1.0", "OPTIONS", "*", "HTTP/1.0"),
            ("-", None, None, None),
            ("", None, None, None),
            ("GET", None, None, None),
            ("\x16\x03\x01\x02", None, None, None),
            ("123 /x HTTP/1.1", None, None, None),
        ],
    )
    def test_request_line(self, text: str, method: str | None, target: str | None, protocol: str | None) -> None:
        assert parse_request(text) == (method, target, protocol)


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03+00:00"),
            ("17/May/2015:10:05:03 +0545", "2015-05-17T04:20:03+00:00"),
            ("31/Dec/2015:23:05:03 -0330", "2016-01-01T02:35:03+00:00"),
            ("7/May/2015:10:05:03 +1400", "2015-05-06T20:05:03+00:00"),
            ("17/May/2015:10:05:03.250 +0200", "2015-05-17T08:05:03.250000+00:00"),
            ("30/Jun/2015:23:59:60 +0000", "2015-06-30T23:59:59+00:00"),
            ("17/May/2015:10:05:03", "2015-05-17T10:05:03+00:00"),
            ("2015-05-17T10:05:03+02:00", "2015-05-17T08:05:03+00:00"),
        ],
    )
    def test_known_forms(self, text: str, expected: str) -> None:
        found = parse_time(text)
        assert found is not None
        assert found.isoformat() == expected
        assert found.tzinfo is UTC

    @pytest.mark.parametrize(
        "text",
        ["30/Feb/2015:10:05:03 +0000", "17/Mai/2015:10:05:03 +0000", "17/May/2015:25:05:03 +0000", "now", "1/Jan/0001:00:00:00 +1400", "31/Dec/1969:23:59:59 +0000", "17/May/2015:10:05:03 +9900"],
    )  # fmt: skip
    def test_impossible_times(self, text: str) -> None:
        assert parse_time(text) is None
        found = parse_line(COMMON.replace("17/May/2015:10:05:03 +0000", text))
        assert isinstance(found, Malformed)
        assert found.code == "malformed_time"

    @given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))
    def test_every_time_in_every_zone_round_trips(self, local: datetime, offset_minutes: int) -> None:
        local = local.replace(microsecond=0)
        sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
        month = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())[local.month - 1]
        text = f"{local:%d}/{month}/{local:%Y:%H:%M:%S} {sign}{minutes // 60:02d}{minutes % 60:02d}"
        assert parse_time(text) == (local - timedelta(minutes=offset_minutes)).replace(tzinfo=UTC)


class TestMalformed:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("", "address"),
            ("nonsense", "address"),
            ("192.0.2.7 - - [17/May/2015", "[time] is not closed"),
            ('192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1', '"request" is not quoted'),
            ('192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /" OK 12', "status and size"),
            (COMMON + ' "https://x.example', '"referrer" is not quoted'),
            (COMMON + ' "-" "Mozilla/5.0 (compatible; +http://bot.example', '"user agent" is not quoted'),
        ],
    )
    def test_the_reason_names_the_part(self, line: str, reason: str) -> None:
        found = parse_line(line)
        assert isinstance(found, Malformed)
        assert reason in found.reason

    @given(st.text(max_size=200))
    def test_no_text_raises(self, text: str) -> None:
        assert isinstance(parse_line(text), Hit | Malformed)

    @given(st.integers(0, len(COMBINED)), st.characters(exclude_categories=["Cs"]))
    def test_no_damage_raises(self, at: int, character: str) -> None:
        assert isinstance(parse_line(COMBINED[:at] + character + COMBINED[at + 1 :]), Hit | Malformed)


def read(data: bytes, limit: int = 1_000) -> list[Line]:
    with LineReader(io.BytesIO(data)) as reader:
        return reader.read(limit)


class TestReader:
    def test_numbers_lines_and_skips_blank_ones(self) -> None:
        assert [(line.number, line.text, line.complete) for line in read(b"a\n\n\r\nb\r\nc")] == [
            (1, "a", True),
            (4, "b", True),
            (5, "c", False),
        ]

    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_reads_on_where_it_stopped(self, limit: int) -> None:
        with LineReader(io.BytesIO(b"a\nb\na\nc\n")) as reader:
            chunks = []
            while chunk := reader.read(limit):
                chunks.append(chunk)
        assert [line for chunk in chunks for line in chunk] == read(b"a\nb\na\nc\n")

    def test_gzip_is_found_by_its_magic_and_gives_the_same_lines(self) -> None:
        data = b"a\nb\na\n"
        assert read(gzip.compress(data)) == read(gzip.compress(b"a\n") + gzip.compress(b"b\na\n")) == read(data)

    def test_a_file_tells_its_size_and_how_much_was_read(self, tmp_path: Path) -> None:
        path = tmp_path / "access.log.gz"
        path.write_bytes(gzip.compress(b"a\nb\n"))
        with LineReader(path) as reader:
            reader.read(10)
            assert reader.total_bytes == reader.bytes_read == path.stat().st_size

    def test_a_stream_has_no_size_and_stays_open(self) -> None:
        stream = io.BytesIO(b"a\n")
        with LineReader(stream) as reader:
            assert reader.total_bytes is None
        assert not stream.closed

    @pytest.mark.parametrize("cut", [12, 30, -1])
    def test_a_broken_gzip_is_said_plainly(self, cut: int) -> None:
        data = gzip.compress(b"".join(b"line %d\n" % number for number in range(1_000)))
        lines: list[Line] = []
        with LineReader(io.BytesIO(data[:cut])) as reader, pytest.raises(BadRequestError, match="ends early"):
            lines.extend(every_line(reader))
        # every line before the damage came first
        assert [line.text for line in lines] == [f"line {number}" for number in range(len(lines))]
        assert cut > 0 or len(lines) == 1_000

    def test_a_damaged_gzip_is_said_plainly(self) -> None:
        data = bytearray(gzip.compress(b"".join(b"line %d\n" % number for number in range(1_000))))
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        with LineReader(io.BytesIO(bytes(data))) as reader, pytest.raises(BadRequestError, match="damaged"):
            list(every_line(reader))

    def test_zeros_behind_a_gzip_are_padding(self) -> None:
        assert [line.text for line in read(gzip.compress(b"a\n") + bytes(9) + gzip.compress(b"b\n") + bytes(3))] == [
            "a",
            "b",
        ]

    def test_an_overlong_line_is_cut_and_the_next_one_is_whole(self) -> None:
        first, second = read(b"x" * (3 * MAX_LINE_BYTES + 5) + b"\nnext\n")
        assert (len(first.text), first.complete) == (MAX_LINE_BYTES, False)
        assert (second.number, second.text) == (2, "next")

    def test_bytes_that_are_no_text_are_shown_as_such(self) -> None:
        assert read(b"a\xff\x00b\n")[0].text == "a\ufffd\ufffdb"

    def test_equal_lines_have_identities_of_their_own(self) -> None:
        ids = [line.message_id for line in read(b"a\na\nb\na\n")]
        assert len(set(ids)) == 4
        assert [identity.partition(":")[2] for identity in ids] == ["", "1", "", "2"]

    @given(st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=30), st.integers(0, 30))
    def test_a_file_that_has_grown_keeps_the_identities_of_its_old_lines(self, lines: list[bytes], length: int) -> None:
        old, grown = (b"".join(line + b"\n" for line in part) for part in (lines[:length], lines))
        before = read(old)
        assert read(grown)[: len(before)] == before

    @given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 4))
    def test_the_window_is_bounded_and_never_forgets_early(self, lines: list[int], window: int) -> None:
        ordinals = Ordinals(window)
        for at, line in enumerate(lines):
            found = ordinals.take(bytes([line]))
            assert len(ordinals._recent) + len(ordinals._older) <= 2 * window
            earlier = [place for place in range(at) if lines[place] == line]
            if all(len(set(lines[a + 1 : b])) < window for a, b in pairwise([*earlier, at])):
                assert found == len(earlier)
