"""Imports logs through the real intake: events, rejects, idempotence, resumption; and the real log's figures."""

import gzip
import io
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest

from mainstem.events.intake import Intake
from mainstem.events.log import PostgresLog
from mainstem.events.model import EventFlag, NewEvent, Reject
from mainstem.events.receive import Sender
from mainstem.events.sealing import Sealer
from mainstem.events.spool import Spool
from mainstem.pii.box import Keyring, new_key
from mainstem.platform.db import Pool
from mainstem.platform.errors import BadRequestError, ConflictError, InvalidFieldError
from mainstem.platform.settings import IpMode, Settings
from mainstem.platform.web.agents import agent_of
from mainstem.site.access_log import ImportReport, Progress, import_access_log, log_sender, queries
from mainstem.site.access_log.events import is_page_view, site_of, to_event
from mainstem.site.access_log.reader import LineReader
from mainstem.site.feed import SITE_FEED
from mainstem.vault.loader import Loader
from mainstem.vault.model import EVENT_FEED

SECRET = b"a secret of the tests, forty-eight bytes long ..."
TENANT = 1
REAL_LOG = Path(__file__).parents[3] / "shared/data/apache_access.log.gz"
needs_real_log = pytest.mark.skipif(
    not REAL_LOG.exists(), reason="the real log is not beside the checkout: ../shared/data"
)


def line(number: int = 0, *, request: str = "GET /menu HTTP/1.1", status: int = 200, agent: str = "Mozilla/5.0") -> str:
    second = f"{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f'192.0.2.{number % 250} - - [17/May/2015:{second} +0000] "{request}" {status} 12 "-" "{agent}"'


def log_of(*lines: str) -> io.BytesIO:
    return io.BytesIO("".join(text + "\n" for text in lines).encode())


def sender(settings: Settings | None = None) -> Sender:
    return log_sender(settings or Settings(), tenant_id=TENANT, secret=SECRET)


def event_of(text: str, *, site: str | None = None, settings: Settings | None = None) -> NewEvent:
    with LineReader(log_of(text)) as reader:
        found = to_event(reader.read(1)[0], sender=sender(settings), site=site)
    assert isinstance(found, NewEvent), found
    return found


class TestEvents:
    def test_a_page_view_carries_the_facts_of_its_line(self) -> None:
        event = event_of(line(61).replace('"-"', '"https://other.example/x"'), site="https://www.example.com")
        assert (event.kind, event.source, event.subject, event.flags) == (
            "page.viewed",
            "access-log",
            None,
            EventFlag.NONE,
        )
        assert event.occurred_at == datetime(2015, 5, 17, 0, 1, 1, tzinfo=UTC)
        assert (event.ip, event.user_agent) == ("192.0.2.0", "Mozilla/5.0")
        assert json.loads(event.data) == {
            "event_type": "page_view",
            "event_data": {"method": "GET", "status": 200, "bytes": 12, "protocol": "HTTP/1.1"},
            "page_url": "https://www.example.com/menu",
            "referrer": "https://other.example/x",
        }

    @pytest.mark.parametrize(
        ("method", "status", "path", "expected"),
        [
            ("GET", 200, "/", True),
            ("GET", 304, "/menu", True),
            ("GET", 206, "/menu.html", True),
            ("GET", 200, "/v1.2/notes", True),
            ("GET", 200, "/feed?file=a.css", True),
            ("GET", 200, "/logo.PNG", False),
            ("GET", 200, "/site.css?v=2", False),
            ("GET", 200, "/robots.txt", False),
            ("GET", 301, "/menu", False),
            ("GET", 404, "/menu", False),
            ("HEAD", 200, "/menu", False),
            ("POST", 200, "/menu", False),
            (None, 400, None, False),
            ("GET", None, "/menu", False),
        ],
    )
    def test_what_counts_as_a_page_view(
        self, method: str | None, status: int | None, path: str | None, expected: bool
    ) -> None:
        assert is_page_view(method, status, path) is expected

    def test_a_request_that_is_not_http_is_kept_as_activity(self) -> None:
        event = event_of(line(request="\\x16\\x03\\x01", status=400))
        assert event.kind == "site.request"
        assert "page_url" not in json.loads(event.data)

    @pytest.mark.parametrize(
        ("vhost", "site", "target", "url"),
        [
            ("", None, "/a?b", "http://localhost/a?b"),
            ("", "https://www.example.com", "/a", "https://www.example.com/a"),
            ("Shop.example.com:443 ", None, "/a", "https://shop.example.com/a"),
            ("shop.example.com:80 ", None, "/a", "http://shop.example.com/a"),
            ("shop.example.com:8080 ", None, "/a", "http://shop.example.com:8080/a"),
            ("shop.example.com ", None, "/a", "http://shop.example.com/a"),
            ("shop.example.com:443 ", "https://www.example.com", "/a", "https://www.example.com/a"),
            ("", "https://www.example.com", "http://probe.example/a?b", "https://www.example.com/a?b"),
        ],
    )
    def test_the_address_of_a_page(self, vhost: str, site: str | None, target: str, url: str) -> None:
        data = json.loads(event_of(vhost + line(request=f"GET {target} HTTP/1.1"), site=site).data)
        assert data["page_url"] == url

    def test_the_visitor_does_not_change_from_day_to_day(self) -> None:
        first, later = event_of(line()), event_of(line().replace("17/May", "20/May"))
        other = event_of(line(agent="Mozilla/4.0"))
        assert first.visitor == later.visitor != other.visitor
        assert first.visitor is not None
        assert first.visitor.startswith("h:")

    @pytest.mark.parametrize(
        ("mode", "kept"), [(IpMode.KEEP, "192.0.2.1"), (IpMode.TRUNCATE, "192.0.2.0"), (IpMode.DROP, None)]
    )
    def test_the_address_is_kept_by_setting(self, mode: IpMode, kept: str | None) -> None:
        assert event_of(line(1), settings=Settings(ip_mode=mode)).ip == kept

    def test_a_time_in_the_future_is_corrected_and_marked(self) -> None:
        event = event_of(line().replace("2015", "2115"))
        assert event.occurred_at == event.received_at
        assert event.flags == EventFlag.FUTURE_CORRECTED

    def test_half_a_line_at_the_end_is_no_event(self) -> None:
        half = line()[: line().index(' "-"')]
        with LineReader(io.BytesIO(half.encode())) as reader:
            found = to_event(reader.read(1)[0], sender=sender(), site=None)
        assert isinstance(found, Reject)
        assert (found.code, found.stage) == ("incomplete_line", "import")

    @pytest.mark.parametrize("text", ["www.example.com", "http://www.example.com/", "http://WWW.example.com"])
    def test_site_of(self, text: str) -> None:
        assert site_of(text) == "http://www.example.com"

    @pytest.mark.parametrize("text", ["", "ftp://x", "http://x/path", "http://x?q=1"])
    def test_site_of_refuses_what_is_no_site(self, text: str) -> None:
        with pytest.raises(InvalidFieldError):
            site_of(text)


@pytest.fixture
async def intake(dsn: str, tmp_path: Path) -> AsyncIterator[Intake]:
    """Yield a running intake on the test's database."""
    intake = Intake(PostgresLog(dsn), Spool(tmp_path / "spool"))
    await intake.start()
    yield intake
    await intake.stop()


class Importer:
    """Imports with the test's intake and loads what came in."""

    def __init__(self, intake: Intake, pool: Pool, dsn: str) -> None:
        self.intake, self.pool, self.dsn = intake, pool, dsn

    async def run(self, source: io.BytesIO | Path, *, settings: Settings | None = None, **more: object) -> ImportReport:
        return await import_access_log(source, intake=self.intake, pool=self.pool, sender=sender(settings), **more)

    async def load(self) -> None:
        loader = Loader(self.dsn, (SITE_FEED, EVENT_FEED))
        while await loader.load_once() is not None:
            pass

    async def one(self, sql: str) -> object:
        return await self.pool.fetchval(sql)


@pytest.fixture
def importer(intake: Intake, worker_pool: Pool, dsn: str) -> Importer:
    return Importer(intake, worker_pool, dsn)


class TestImport:
    async def test_every_line_becomes_an_event_or_a_reject(self, importer: Importer) -> None:
        lines = [line(number) for number in range(10)]
        lines[3] = "broken"
        steps: list[Progress] = []
        report = await importer.run(log_of(*lines), progress=steps.append, chunk_lines=4)
        assert (report.lines, report.accepted, report.rejected, report.known, report.page_views) == (10, 9, 1, 0, 9)
        assert report.malformed == ["line 4: no address, identity, user and [time] at the start"]
        assert (report.first_at, report.last_at) == (
            datetime(2015, 5, 17, tzinfo=UTC),
            datetime(2015, 5, 17, 0, 0, 9, tzinfo=UTC),
        )
        assert [(step.lines, step.accepted, step.rejected) for step in steps] == [(4, 3, 1), (8, 7, 1), (10, 9, 1)]
        assert steps[-1].bytes_read == sum(len(text) + 1 for text in lines)
        assert await importer.one("select count(*) from raw.event where source = 'access-log'") == 9
        assert await importer.one("select string_agg(distinct origin, ',') from raw.batch") == "import"
        row = await importer.pool.fetchrow("select stage, code, reason, payload, origin from staging.rejected")
        assert tuple(row) == ("import", "malformed_line", report.malformed[0], "broken", "access-log")

    async def test_what_is_personal_in_addresses_is_masked_before_it_is_stored(
        self, dsn: str, tmp_path: Path, worker_pool: Pool
    ) -> None:
        sealer = Sealer(Settings(_env_file=None).pii_fields, Keyring(new_key()))
        intake = Intake(PostgresLog(dsn, sealer), Spool(tmp_path / "sealed", keyring=sealer.keyring))
        await intake.start()
        lines = [
            line(1, request="GET /thanks?email=anna%40example.com&n=1 HTTP/1.1"),
            "broken ?first_name=Anna",
            line(2),
        ]
        importer = Importer(intake, worker_pool, dsn)
        report = await importer.run(log_of(*lines), sealer=sealer)
        await importer.load()
        again = await importer.run(log_of(*lines), sealer=sealer)
        await intake.stop()
        assert (report.accepted, report.rejected, again.known) == (2, 1, 3)
        assert await importer.one("select page_url from vault.nhl_site_event where page_url like '%thanks%'") == (
            "http://localhost/thanks?email=***&n=1"
        )
        assert await importer.one("select payload from staging.rejected") == "broken ?first_name=***"
        assert await importer.one("select count(*) from raw.event where data::text like '%anna%'") == 0
        assert await importer.one("select count(*) from pii.subject") == 0

    async def test_the_same_file_twice_adds_nothing(self, importer: Importer) -> None:
        lines = [line(1), line(1), "broken", line(2), "broken"]
        first = await importer.run(log_of(*lines))
        await importer.load()
        second = await importer.run(log_of(*lines))
        assert (first.accepted, first.rejected, first.known) == (3, 2, 0)
        assert (second.accepted, second.rejected, second.known) == (0, 0, 5)
        assert second.malformed == first.malformed
        assert await importer.one("select count(*) from raw.event") == 3
        assert await importer.one("select count(*) from staging.rejected") == 2

    async def test_a_grown_file_adds_its_new_lines(self, importer: Importer) -> None:
        lines = [line(1), line(1), "broken"]
        await importer.run(log_of(*lines))
        await importer.load()
        report = await importer.run(io.BytesIO(gzip.compress(log_of(*lines, line(1), "broken", line(9)).getvalue())))
        assert (report.accepted, report.rejected, report.known) == (2, 1, 3)

    @pytest.mark.parametrize("resume", [True, False])
    async def test_events_sent_twice_before_a_load_count_once(self, importer: Importer, resume: bool) -> None:
        lines = [line(1), line(1), line(2)]
        for _ in range(2):
            await importer.run(log_of(*lines), resume=resume)
        await importer.load()
        assert await importer.one("select count(*) from vault.nhl_site_event") == 3
        assert await importer.one("select sum(duplicates)::int from raw.batch") == 3

    async def test_an_import_that_broke_off_goes_on(self, importer: Importer) -> None:
        data = gzip.compress(log_of(*(line(number) for number in range(3_000))).getvalue())
        with pytest.raises(BadRequestError, match="ends early"):
            await importer.run(io.BytesIO(data[: len(data) // 2]), chunk_lines=100)
        kept = await importer.one("select count(*) from raw.event")
        await importer.load()
        report = await importer.run(io.BytesIO(data), chunk_lines=100)
        assert isinstance(kept, int)
        assert 0 < kept < 3_000
        assert (report.known, report.accepted) == (kept, 3_000 - kept)

    async def test_another_tenants_import_is_another_one(self, importer: Importer) -> None:
        other = await importer.pool.fetchval(
            "insert into platform.tenant (slug, name) values ('other', 'Other') returning tenant_id"
        )
        await importer.run(log_of(line(1)))
        await importer.load()
        lines = log_of(line(1))
        theirs = sender()._replace(tenant_id=other)
        report = await import_access_log(lines, intake=importer.intake, pool=importer.pool, sender=theirs)
        assert report.accepted == 1

    async def test_a_file_that_is_no_log_is_refused_as_a_whole(self, importer: Importer) -> None:
        with pytest.raises(BadRequestError, match="no access log"):
            await importer.run(log_of(*(f"row {number}" for number in range(1_500))))
        assert await importer.one("select count(*) from staging.rejected") == 0

    async def test_two_imports_of_a_tenant_do_not_mix(self, importer: Importer, connection: asyncpg.Connection) -> None:
        assert await queries.lock(connection, TENANT)
        with pytest.raises(ConflictError):
            await importer.run(log_of(line(1)))
        await queries.unlock(connection, TENANT)
        assert (await importer.run(log_of(line(1)))).accepted == 1

    async def test_an_empty_file_is_fine(self, importer: Importer) -> None:
        assert await importer.run(log_of()) == ImportReport()


@needs_real_log
class TestRealLog:
    """The figures of ../shared/data/README.md, computed apart from any database and then by the whole pipeline."""

    def test_figures_of_the_lines(self) -> None:
        events, rejects = real_events()
        assert (len(events), [reject.reason.partition(":")[0] for reject in rejects]) == (9_999, ["line 8899"])
        assert len({event.ip for event in events}) == 1_753
        assert len({event.user_agent for event in events}) == 558
        assert sum("referrer" in json.loads(event.data) for event in events) == 5_927
        assert sum(before.occurred_at > after.occurred_at for before, after in pairwise(events)) == 4_915

    def test_figures_of_visitors_and_sessions(self) -> None:
        events, _ = real_events()
        bots = [event for event in events if agent_of(event.user_agent).is_bot]
        assert (len(bots), len({event.user_agent for event in bots})) == (1_955, 74)
        times: dict[str | None, list[datetime]] = defaultdict(list)
        for event in events:
            if not agent_of(event.user_agent).is_bot:
                times[event.visitor].append(event.occurred_at)
        assert len(times) == 1_542
        pause = timedelta(minutes=30)
        gaps = sum(after - before > pause for moments in times.values() for before, after in pairwise(sorted(moments)))
        assert len(times) + gaps == 2_097

    async def test_figures_after_the_whole_pipeline(self, importer: Importer) -> None:
        report = await importer.run(
            REAL_LOG, settings=Settings(ip_mode=IpMode.KEEP), site="http://www.semicomplete.com"
        )
        await importer.load()
        assert (report.lines, report.accepted, report.rejected) == (10_000, 9_999, 1)
        facts = await importer.pool.fetchrow(
            "select count(*), count(distinct ip), count(*) filter (where is_bot),"
            " count(distinct visitor_hk) filter (where not is_bot) from vault.nhl_site_event"
        )
        assert tuple(facts) == (9_999, 1_753, 1_955, 1_542)
        sessions = "select count(*) from business.session where not is_bot"
        assert await importer.one(sessions) == 2_097
        ledger = await importer.pool.fetchrow(
            "select sum(events)::int, sum(loaded)::int, sum(rejected)::int from raw.batch"
        )
        assert tuple(ledger) == (9_999, 9_999, 0)
        again = await importer.run(REAL_LOG, settings=Settings(ip_mode=IpMode.KEEP), site="http://www.semicomplete.com")
        assert (again.accepted, again.rejected, again.known) == (0, 0, 10_000)
        assert await importer.one("select count(*) from raw.event") == 9_999


def real_events() -> tuple[list[NewEvent], list[Reject]]:
    who = sender(Settings(ip_mode=IpMode.KEEP))
    with LineReader(REAL_LOG) as reader:
        found = [to_event(text, sender=who, site=None) for text in reader.read(20_000)]
    return [x for x in found if isinstance(x, NewEvent)], [x for x in found if isinstance(x, Reject)]
