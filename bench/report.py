"""The results as a page for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figure import Figure

_NOTES = """\
How to read it: every figure is the median of its runs, the smallest and the largest beside it. A ratio is taken within
a run, to the reference measured right before it on the same machine, and the bar is held against the median of the
ratios. Load generator, server and PostgreSQL share the cores; durability is PostgreSQL's default (fsync and
synchronous_commit on), and an answer is counted only when it is 200.

- Events are synthetic page views of about 2,000 visitors at a time, 450 bytes each, sent by a server for its visitors.
- COPY reads the very rows that the batch scenario stored, from a file, server-side, into the emptied table with its
  partitions and keys. It answers nobody, parses no JSON requests and makes no ids. The bar is held against the text
  format, which is PostgreSQL's default; the binary format, which skips the parsing of every value, stands beside it.
- "Without a database" is the same server whose log says yes at once; it still checks the key and the limits, decodes
  the event and makes its ids. "Bare" answers a constant.
- "With the loader" is `mainstem up`, which loads in the process that serves, while it serves.
- Redirects are visited over 256 connections, in groups of a commit; "cached" links are in memory, "each looked up" are not.
  The bare server answers the same connections a constant. Every click is durable before its answer.
- Clicks to business come from visitors that are nearly all new, which is the dearest case: each is a row of the hub and two of
  the visitors of the day.
- Latencies of the paced scenario count from the moment a request was due, so that a stall is not left out.
"""


def write_page(path: Path, figures: Sequence[Figure], machine: Mapping[str, str], *, date: str, command: str) -> None:
    """Write RESULTS.md."""
    rows = [
        "| figure | measured | spread | ratio | bar | met |",
        "|---|---:|---:|---:|---:|:---:|",
        *map(_row, figures),
    ]
    facts = [f"- {name}: {fact}" for name, fact in machine.items()]
    parts = [
        "# Measured",
        f"On {date}, by `{command}`. To repeat: `make bench` (about half an hour), or `make bench ARGS=--quick`.",
        "\n".join(facts),
        "\n".join(rows),
        _NOTES.rstrip(),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write_json(path: Path, figures: Sequence[Figure], machine: Mapping[str, str], *, date: str) -> None:
    """Write all figures with all their runs."""
    document = {
        "date": date,
        "machine": dict(machine),
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "median": figure.value,
                "runs": figure.runs,
                "ratio": figure.ratio,
                "ratios": figure.ratios,
                "bar": None if figure.bar is None else str(figure.bar),
                "met": figure.met,
            }
            for figure in figures
        ],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def lines(figures: Sequence[Figure]) -> list[str]:
    """Return the figures as lines for a terminal."""
    return [
        f"{_MARKS[figure.met]:3} {figure.name}: {_measured(figure)}"
        + (f", ratio {figure.ratio:.2f}" if figure.ratio is not None else "")
        + (f" (bar {figure.bar})" if figure.bar is not None else "")
        for figure in figures
    ]


_MARKS = {True: "yes", False: "no", None: ""}


def _row(figure: Figure) -> str:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    spread = f"{_number(min(figure.runs))} to {_number(max(figure.runs))}"
    bar = "" if figure.bar is None else str(figure.bar)
    return f"| {figure.name} | {_measured(figure)} | {spread} | {ratio} | {bar} | {_MARKS[figure.met]} |"


def _measured(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
