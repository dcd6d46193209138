"""Case files run through the engine: those of the shared folder where it is there, and that a wrong case fails."""

import copy
import json
from pathlib import Path

import asyncpg
import pytest

from mainstem.cli import main
from mainstem.vault.conform import CaseFileError, Report, read_cases, run_case, run_cases

SHARED = Path(__file__).parents[3] / "shared" / "conformance" / "data_vault"
FILES = sorted(SHARED.glob("*.json"))
HASH = {"algorithm": "md5", "separator": "||", "null_token": "^^", "casing": "upper", "trim": True}
CASE = {
    "id": "hub-1",
    "title": "The earliest row counts",
    "kind": "hub",
    "hash": HASH,
    "targets": [
        {
            "table": "Hub Guest",
            "kind": "hub",
            "columns": [["HK", "bytea"], ["ID", "varchar"], ["Day", "date"], ["SRC", "varchar"]],
            "spec": {"key": ["HK"], "business_key": ["ID"], "load_date": "Day", "record_source": "SRC"},
            "initial": [[{"hex": "00"}, "zero", "2020-01-01", None]],
        }
    ],
    "steps": [
        {
            "stages": [
                {
                    "name": "STG",
                    "columns": [["ID", "varchar"], ["Day", "date"], ["SRC", "varchar"]],
                    "rows": [["1", "2024-01-02", "x"], ["1", "2024-01-01", "x"], [None, "2024-01-01", "x"]],
                    "hashed": [{"name": "HK", "columns": ["ID"], "hashdiff": False}],
                }
            ],
            "load": [{"target": "Hub Guest", "from": ["STG"]}],
        }
    ],
    "expected": {"Hub Guest": {"columns": ["Day", "ID"], "rows": [["2020-01-01", "zero"], ["2024-01-01", "1"]]}},
}


def write(folder: Path, *cases: object) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps({"format": 1, "cases": cases}))
    return path


def changed(**values: object) -> dict[str, object]:
    return copy.deepcopy(CASE) | values


@pytest.mark.skipif(not FILES, reason=f"no shared conformance cases beside this repository ({SHARED})")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_engine_passes_the_shared_cases(connection: asyncpg.Connection, file: Path):
    report = Report([result async for result in run_cases(connection, read_cases([file]))])
    assert [(result.id, result.problem) for result in report.failed] == []
    assert report.passed == len(read_cases([file])) > 0


async def test_a_case_leaves_nothing_behind(connection: asyncpg.Connection, tmp_path):
    (case,) = read_cases([write(tmp_path, CASE)])
    for _ in range(2):
        assert (await run_case(connection, case)).problem is None
    assert not await connection.fetchval("select count(*) from pg_namespace where nspname like 'mainstem_conform%'")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([["2024-01-01", "1"]], "0 missing, 1 unexpected (2020-01-01, zero)"),
        ([["2020-01-01", "zero"], ["2024-01-01", "1"], ["2024-01-01", "1"]], "1 missing (2024-01-01, 1), 0 unexpected"),
        ([["2020-01-01", "zero"], ["2024-01-02", "1"]], "1 missing (2024-01-02, 1), 1 unexpected (2024-01-01, 1)"),
    ],
)
async def test_rows_are_compared_as_a_multiset(connection: asyncpg.Connection, tmp_path, rows, problem):
    expected = {"Hub Guest": {"columns": ["Day", "ID"], "rows": rows}}
    (case,) = read_cases([write(tmp_path, changed(expected=expected))])
    assert (await run_case(connection, case)).problem == f"Hub Guest at the end: {problem}"


async def test_a_step_is_looked_at_before_the_next(connection: asyncpg.Connection, tmp_path):
    steps = [{**CASE["steps"][0], "expect": {"Hub Guest": {"columns": ["ID"], "rows": []}}}]
    (case,) = read_cases([write(tmp_path, changed(steps=steps))])
    assert (await run_case(connection, case)).problem.startswith("Hub Guest after step 1: 0 missing, 2 unexpected")


async def test_a_case_that_is_impossible_fails_alone(connection: asyncpg.Connection, tmp_path):
    target = CASE["targets"][0]
    cases = [
        changed(targets=[{**target, "kind": "cube"}]),
        changed(targets=[{**target, "spec": {**target["spec"], "business_key": ["NONE"]}}]),
        changed(targets=[{**target, "initial": [[{"hex": "00"}, "zero", "no day", None]]}]),
        CASE,
    ]
    results = [result async for result in run_cases(connection, read_cases([write(tmp_path, *cases)]))]
    assert ["" if result.problem is None else result.problem.split(":")[0] for result in results] == [
        "ValueError",
        "KeyError",
        "InvalidDatetimeFormatError",
        "",
    ]
    assert Report(results).kinds == {"hub": (1, 4)}


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2, "cases": []}', '{"format": 1, "cases": [{"id": 1}]}'])
def test_a_file_that_holds_no_cases_is_refused(tmp_path, text):
    path = tmp_path / "cases.json"
    path.write_text(text)
    with pytest.raises(CaseFileError, match=r"cases\.json"):
        read_cases([path])


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(CaseFileError, match="no case file"):
        read_cases([tmp_path])


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["vault", "conform", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command_counts_by_kind(dsn: str, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", dsn)
    wrong = changed(id="sat-1", kind="sat", expected={"Hub Guest": {"columns": ["ID"], "rows": []}})
    assert run(write(tmp_path, CASE), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "passed": 1,
        "total": 1,
        "kinds": [{"kind": "hub", "passed": 1, "total": 1}],
        "failed": [],
    }
    assert run(write(tmp_path, CASE, wrong)) == 1
    shown = capsys.readouterr()
    assert [line.split() for line in shown.out.splitlines()] == [
        ["kind", "passed", "total"], ["hub", "1", "1"], ["sat", "0", "1"], ["all", "1", "2"]
    ]  # fmt: skip
    assert "sat-1" in shown.err


def test_the_command_needs_no_database(tmp_path, capsys, monkeypatch):
    for name in ("DATABASE_URL", "SYSTEM_DATABASE_URL", "PGHOST"):
        monkeypatch.delenv(name, raising=False)
    assert run(write(tmp_path, CASE), "--data-dir", tmp_path / "none") == 0
    assert "hub   1       1" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_the_command_refuses_what_is_no_case_file(tmp_path, capsys):
    (tmp_path / "cases.json").write_text("nothing")
    assert run(tmp_path) == 2
    assert "cases.json" in capsys.readouterr().err
