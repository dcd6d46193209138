"""Personal data is sealed from the first write and gone after an erasure: markers are planted and looked for everywhere."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from clusters import DurableCluster
from e2e_server import Server

from mainstem.platform.embedded import program

EMAIL = "Quillon.Marker@Vexel-Example.org"
PHONE = "+43 660 7391846"
NAME = "Zyphrine Quuxmarker"
HIDDEN = "Hiddenmarker"
SQL_NAME = "Sqlonlymarker"
MARKERS = [EMAIL, EMAIL.lower(), "quillon.marker%40vexel-example.org", PHONE, "436607391846", NAME, "Zyphrine", HIDDEN]
PERSON = {"email": EMAIL, "phone": PHONE, "full_name": NAME}


class Product:
    """A running product on a database that may go away, and all places where a marker might lie."""

    def __init__(self, server: Server, cluster: DurableCluster) -> None:
        self.server = server
        self.cluster = cluster
        self.key = server.key("default", "admin")
        self.client = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=20)

    def post(self, path: str, body: object, status: int) -> dict:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def settled(self, events: int) -> None:
        """Wait until so many events have come, and all of them are loaded."""
        pause = threading.Event()
        deadline = time.monotonic() + 60
        found = (0, 0)
        while time.monotonic() < deadline:
            with psycopg.connect(self.cluster.dsn) as connection:
                query = "select coalesce(sum(events), 0), count(*) filter (where loaded_at is null) from raw.batch"
                found = connection.execute(query).fetchone()
            if found == (events, 0):
                return
            pause.wait(0.1)
        raise AssertionError(f"not everything was loaded in time: {found}, not {events} events")

    def dump(self) -> str:
        done = subprocess.run(
            [program("pg_dump"), self.cluster.dsn], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def answers(self) -> str:
        paths = ("/api/v1/track/status", "/api/v1/track/dashboard?limit=1000", "/metrics", "/health/detailed")
        overviews = ("/api/v1/site/overview", "/api/v1/site/breakdown?dimension=page")
        return "\n".join(self.client.get(path).text for path in (*paths, *overviews))

    def folder(self) -> bytes:
        return b"\n".join(path.read_bytes() for path in sorted(self.server.data_dir.rglob("*")) if path.is_file())

    def database_files(self) -> str:
        files = [path for path in self.cluster.server.cluster.rglob("*") if path.is_file()]
        return b"\n".join(path.read_bytes() for path in files).decode("latin-1")

    def archived(self) -> str:
        # the files are compressed: what counts is what they say
        return self.server.cli("vault", "query", "select * from archive.event", "--json")

    def everywhere(self) -> dict[str, str]:
        return {
            "dump": self.dump(),
            "answers": self.answers(),
            "folder (spool)": self.folder().decode("utf-8", "replace"),
            "archive": self.archived(),
            "log": "".join(self.server.output),
        }


@pytest.fixture
def product(tmp_path: Path, durable_cluster: DurableCluster) -> Iterator[Product]:
    # an alert about a slow machine would be an event more
    server = Server(tmp_path / "data", DATABASE_URL=durable_cluster.dsn, ALERTS_ENABLED="false").start()
    running = Product(server, durable_cluster)
    yield running
    running.client.close()
    if server.process is not None and server.process.poll() is None:
        server.kill()


def plant(product: Product) -> None:
    """Send the markers by every way in: seven events are accepted."""
    url = f"https://shop.example/thanks?email={EMAIL.replace('@', '%40')}&order=7"
    product.post("/api/v1/track", {"page_url": url, "user_id": EMAIL, "event_data": {"contact": PERSON}}, 200)
    product.post(
        "/api/v1/track", {"page_url": "https://shop.example/", "visitor_id": "v-77", "event_data": PERSON}, 200
    )
    product.post(
        "/api/v1/track/bulk",
        # after one that has known members alone
        {
            "events": [
                {"page_url": "https://shop.example/a"},
                {"page_url": "https://shop.example/b", "event_data": PERSON},
            ]
        },
        200,
    )
    # a name that is hidden from a plain search
    hidden = rb'{"kind":"order.paid","data":{"\u0065mail":"%b","first_n\u0061me":"%b","total":10.50}}'
    answer = product.client.post(
        "/api/v1/events",
        content=hidden % (EMAIL.encode(), HIDDEN.encode()),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 202, answer.text
    product.post(
        "/api/v1/events/batch", {"events": [{"kind": "order.sent", "subject": EMAIL, "data": {"guest": [PERSON]}}]}, 200
    )
    refused = {"kind": "NOT A KIND", "data": PERSON}
    assert product.client.post("/api/v1/events", json=refused).status_code == 422
    nowhere = {"page_url": f"mailto:{EMAIL}", "event_type": "page_view"}
    assert product.client.post("/api/v1/track", json=nowhere).status_code == 422
    with psycopg.connect(product.cluster.dsn) as connection:
        details = {"email": EMAIL, "first_name": SQL_NAME}
        connection.execute(
            "select api.track_site_event('192.0.2.1', 'Mozilla/5.0', 'https://shop.example/sql', 'form', %s)",
            (json.dumps(details),),
        )


def plant_while_away(product: Product) -> None:
    """Send an event and a refused one that have to be spooled, and look into the spool."""
    product.cluster.stop()
    product.post("/api/v1/events", {"kind": "order.paid", "data": PERSON}, 202)
    bulk = {"events": [{"kind": "order.paid", "data": PERSON}, {"kind": "??", "data": PERSON}]}
    assert product.client.post("/api/v1/events/batch", json=bulk).status_code == 207
    spooled = product.folder().decode("utf-8", "replace")
    assert "order.paid" not in spooled
    assert [marker for marker in MARKERS if marker in spooled] == []
    product.cluster.start()


def missing_in(texts: dict[str, str], markers: list[str]) -> list[tuple[str, str]]:
    return [(place, marker) for place, text in texts.items() for marker in markers if marker in text]


@pytest.mark.timeout(300)
def test_no_marker_is_stored_in_the_clear_and_none_is_left_after_the_erasure(product: Product) -> None:
    plant(product)
    product.settled(7)
    plant_while_away(product)
    product.settled(9)
    # sealed from the first write: nowhere in the clear, though the erasure is still to come
    assert missing_in(product.everywhere(), [*MARKERS, SQL_NAME]) == []
    # not even in the pages and write-ahead logs of the database; there, only what came by SQL was in the clear
    assert missing_in({"database files": product.database_files()}, [PHONE, NAME, HIDDEN]) == []
    found = product.post("/api/v1/subjects/lookup", {"email": EMAIL.upper()}, 200)["subjects"]
    assert len(found) == 1
    assert found[0]["identifiers"].keys() >= {"email", "phone"}
    subject = found[0]["subject_id"]

    export = product.client.get(f"/api/v1/subjects/{subject}/export")
    assert export.status_code == 200
    document = export.json()
    assert {EMAIL, PHONE, NAME, HIDDEN, SQL_NAME} <= set(_texts(document))
    assert document["counts"]["events"] == 4
    assert document["counts"]["site_events"] == 5
    printed = product.server.cli("subject", "export", "--tenant", "default", "--phone", PHONE)
    assert json.loads(printed)["events"] == document["events"]

    archive(product)
    assert "ms1:" in product.archived()
    assert missing_in(product.everywhere(), [*MARKERS, SQL_NAME]) == []

    # a refused event that is no JSON keeps its text until the erasure finds it
    with psycopg.connect(product.cluster.dsn) as connection:
        connection.execute(
            "insert into staging.rejected (tenant_id, stage, code, reason, origin, payload) "
            "values (1, 'intake', 'invalid_json', 'cut', 'http', %s)",
            (f'{{"email": "{EMAIL}", "full_name": "{NAME}',),
        )
    erased = product.post(f"/api/v1/subjects/{subject}/erase", {"ticket": "DSR-7"}, 200)
    assert erased["counts"] == {"refused_events": 1, "identifiers": erased["counts"]["identifiers"], "keys": 1}
    assert not erased["repeated"]
    assert product.post(f"/api/v1/subjects/{subject}/erase", {}, 200)["repeated"]
    product.settled(10)

    texts = product.everywhere()
    assert missing_in(texts, [*MARKERS, SQL_NAME]) == []
    assert "subject.erased" in texts["dump"]
    after = product.client.get(f"/api/v1/subjects/{subject}/export").text
    assert missing_in({"export": after}, [*MARKERS, SQL_NAME]) == []
    assert "(erased)" in after
    assert product.post("/api/v1/subjects/lookup", {"email": EMAIL}, 200) == {"subjects": []}

    # whoever comes back is somebody new
    product.post("/api/v1/events", {"kind": "order.paid", "data": PERSON}, 202)
    product.settled(11)
    (again,) = product.post("/api/v1/subjects/lookup", {"email": EMAIL}, 200)["subjects"]
    assert again["subject_id"] != subject
    assert missing_in(product.everywhere(), [*MARKERS, SQL_NAME]) == []


def archive(product: Product) -> None:
    """Let a day pass, and bring all raw events into the archive."""
    with psycopg.connect(product.cluster.dsn) as connection:
        connection.execute("update raw.event set received_at = received_at - interval '1 day'")
        connection.execute(
            "update raw.batch set received_from = received_from - interval '1 day', received_to = received_to - interval '1 day'"
        )
    today = datetime.now(UTC).date().isoformat()
    (day,) = json.loads(product.server.cli("archive", "run", "--before", today, "--json"))
    assert day["events"] == 9
    assert day["kept"] is None


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
