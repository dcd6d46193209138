"""`python -m bench`: measure all bars, or some, and write RESULTS.md."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import report
from bench.bench import FULL_LENGTH, QUICK, Bench
from bench.cluster import cluster
from bench.figure import Figure
from bench.machine import describe
from bench.scenarios import (
    assistant,
    batch,
    cache,
    clicks,
    connector,
    deliver,
    idle,
    live,
    load,
    mcp,
    query,
    redirect,
    single,
    track,
)

SCENARIOS: Final[dict[str, Callable[[Bench], list[Figure]]]] = {
    "batch": batch.run,
    "single": single.run,
    "track": track.run,
    "redirect": redirect.run,
    "load": load.run,
    "query": query.run,
    "clicks": clicks.run,
    "deliver": deliver.run,
    "connector": connector.run,
    "assistant": assistant.run,
    "live": live.run,
    "cache": cache.run,
    "mcp": mcp.run,
    "idle": idle.run,
}
_RUNS: Final = 5
_QUICK_RUNS: Final = 3
_STORED_WITH_FULL: Final = 10_000_000
_RESULTS: Final = Path(__file__).with_name("RESULTS.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="a scenario; may be given more than once")
    parser.add_argument("--runs", type=int, help=f"runs of each measurement ({_RUNS}, with --quick {_QUICK_RUNS})")
    parser.add_argument("--quick", action="store_true", help="small sizes: minutes instead of half an hour")
    parser.add_argument("--full", action="store_true", help="a backlog of 10 million events: takes an hour and 40 GB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs of all figures as JSON")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the page there (all scenarios: RESULTS.md)")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="parent of the databases' folder; on the disk to measure"
    )
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="the date on the page")
    return parser.parse_args()


def main() -> int:
    """Measure; return 1 when a bar is missed."""
    arguments = _arguments()
    sizes = QUICK if arguments.quick else FULL_LENGTH
    if arguments.full:
        sizes = replace(sizes, backlog_events=_STORED_WITH_FULL)
    runs = arguments.runs or (_QUICK_RUNS if arguments.quick else _RUNS)
    figures: list[Figure] = []
    with cluster(arguments.dir) as found:
        machine = describe(found, found.data_dir)
        bench = Bench(cluster=found, runs=runs, sizes=sizes)
        for name in arguments.only or SCENARIOS:
            bench.say(f"{name} …")
            figures += SCENARIOS[name](bench)
    sys.stdout.write("\n".join(report.lines(figures)) + "\n")
    page = arguments.results or (None if arguments.only else _RESULTS)
    if page is not None:
        command = " ".join(["python -m bench", *sys.argv[1:]])
        report.write_page(page, figures, machine, date=arguments.date, command=command)
    if arguments.json is not None:
        report.write_json(arguments.json, figures, machine, date=arguments.date)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
