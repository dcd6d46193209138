"""Takes links over from CSV: our own export and those of Bitly, Dub and Shlink, told apart by their header.

Column names are compared without case, blanks and underscores, because exports have changed theirs over time. Bitly's has
the short and the long address ("Bitlink", "Long URL"), Dub's "Short link" and "Destination URL", Shlink's web client
"Short URL" and "Long URL" with short code and domain. Hosts that are none of the tenant's domains are those of the other
product: their slugs go to the hub's own address.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from mainstem.links import store
from mainstem.links.models import ImportFault, ImportOut, LinkIn
from mainstem.links.slugs import normalized
from mainstem.platform.db import Pool, load_queries, transaction
from mainstem.platform.errors import BadRequestError, ConflictError, MainstemError
from mainstem.platform.problems import from_validation

Format = Literal["mainstem", "bitly", "dub", "shlink"]
_ROWS: Final = 1_000
_MOST_FAULTS: Final = 100
_MOST_CELL: Final = 100_000
_NOT_NAME: Final = re.compile(r"[^a-z0-9]")
_OWN_TEXTS: Final = (
    *("title", "description", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "link_function"),
    *("link_type", "job_id", "application_id", "valid_since", "expires_at", "expired_url", "limit_url"),
)
_sql: Final = load_queries("mainstem.links")

Row = Mapping[str, str]
Progress = Callable[[int], None]


class _Rows(NamedTuple):
    """A file whose header is known."""

    format: Format
    rows: Iterator[tuple[int, Row]]
    """Number of the line at which each row ends, and its cells by the short name of their column."""


async def take(  # noqa: PLR0913 - what an import is told
    pool: Pool,
    scope: store.Scope,
    lines: Iterable[str],
    *,
    format_: Literal["auto", "mainstem", "bitly", "dub", "shlink"] = "auto",
    update: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda _: None,
) -> ImportOut:
    """Take links over, a thousand in a transaction; return what became of the rows.

    With `dry_run` every transaction is undone. Raises BadRequestError when the header is none that is known.
    """
    found = _read(lines, format_)
    told = ImportOut(format=found.format, dry_run=dry_run, rows=0, created=0, updated=0, skipped=0, failed=0, errors=[])
    batch: list[tuple[int, Row]] = []
    for row in found.rows:
        batch.append(row)
        if len(batch) == _ROWS:
            await _take_batch(pool, scope, found.format, batch, told, update=update)
            progress(told.rows)
            batch = []
    if batch:
        await _take_batch(pool, scope, found.format, batch, told, update=update)
        progress(told.rows)
    return told


class _UndoneError(Exception):
    """Ends the transaction of a dry run."""


async def _take_batch(  # noqa: PLR0913 - as take
    pool: Pool, scope: store.Scope, format_: Format, batch: list[tuple[int, Row]], told: ImportOut, *, update: bool
) -> None:
    told.rows += len(batch)
    try:
        async with transaction(pool, tenant_id=scope.tenant_id, timeout_s=30) as connection:
            rows = await connection.fetch(_sql["domains"], scope.tenant_id)
            campaigns = {
                row["name"].lower(): row["id"] for row in await connection.fetch(_sql["campaigns"], scope.tenant_id)
            }
            hosts = {row["host"] for row in rows}
            wanted = [_link(format_, row, hosts, campaigns) for _, row in batch]
            made = await store.create(connection, scope, wanted)
            known: list[tuple[int, Mapping[str, Any]]] = []
            for (line, _), given, one in zip(batch, wanted, made, strict=True):
                if isinstance(one, int):
                    told.created += 1
                elif isinstance(one, ConflictError) and not isinstance(given, MainstemError):
                    slug = normalized(str(given["slug"]))
                    link_id = await store.find_place(connection, scope.tenant_id, str(given.get("host", "")), slug)
                    if link_id is None:
                        _fail(told, line, one)
                    elif update:
                        known.append((link_id, {name: value for name, value in given.items() if name != "tracking_id"}))
                    else:
                        told.skipped += 1
                else:
                    _fail(told, line, one)
            for changed in await store.change(connection, scope, known) if known else []:
                if isinstance(changed, int):
                    told.updated += 1
                else:
                    _fail(told, 0, changed)
            if told.dry_run:
                raise _UndoneError  # noqa: TRY301 - it ends the transaction
    except _UndoneError:
        pass


def _fail(told: ImportOut, line: int, error: MainstemError) -> None:
    told.failed += 1
    if len(told.errors) < _MOST_FAULTS:
        told.errors.append(ImportFault(line=line, code=error.code, field=error.field, error=error.detail))


def _read(lines: Iterable[str], format_: str) -> _Rows:
    csv.field_size_limit(_MOST_CELL)
    reader = csv.reader(line.replace("\x00", "") for line in lines)
    try:
        names = [_short(name) for name in next(reader)]
    except (StopIteration, csv.Error):
        raise BadRequestError("The file is empty.", code="empty_file") from None
    found = _format_of(set(names)) if format_ == "auto" else format_
    if found is None:
        shown = ", ".join(names[:10])
        raise BadRequestError(f"This is no export that is known; its columns are {shown}.", code="unknown_format")
    return _Rows(found, _rows(reader, names))  # type: ignore[arg-type]  # one of the four


def _rows(reader: Any, names: list[str]) -> Iterator[tuple[int, Row]]:  # noqa: ANN401 - the csv module's reader has no public type
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise BadRequestError(f"Line {reader.line_num} can't be read: {error}.", code="bad_csv") from None


def _format_of(names: set[str]) -> Format | None:
    if {"targeturl", "slug"} <= names:
        return "mainstem"
    if "destinationurl" in names or {"shortlink", "url"} <= names:
        return "dub"
    if names & {"bitlink", "bitlinkurl"}:
        return "bitly"
    if "longurl" in names and names & {"shortcode", "shorturl"}:
        return "shlink"
    return None


def _short(name: str) -> str:
    return _NOT_NAME.sub("", name.lstrip("\ufeff").lower())


def _link(
    format_: Format, row: Row, hosts: set[str], campaigns: Mapping[str, int]
) -> Mapping[str, Any] | MainstemError:
    given = _own(row, campaigns) if format_ == "mainstem" else _foreign(row)
    if given.get("host", "") not in hosts:
        given["host"] = ""
    try:
        return LinkIn.model_validate(given).model_dump(exclude_unset=True)
    except ValidationError as error:
        return from_validation(error.errors())


def _own(row: Row, campaigns: Mapping[str, int]) -> dict[str, Any]:
    cells = {name: _unguarded(value) for name, value in row.items()}
    given: dict[str, Any] = {
        name: cells[_short(name)]
        for name in (*_OWN_TEXTS, "target_url", "slug", "host", "tracking_id")
        if cells.get(_short(name))
    }
    given["tags"] = [tag for tag in cells.get("tags", "").split(",") if tag.strip()]
    campaign = campaigns.get(cells.get("campaign", "").lower())
    if campaign is not None:
        given["campaign_id"] = campaign
    for name in ("forward_query", "append_click", "active"):
        if cells.get(_short(name)):
            given[name] = cells[_short(name)] == "true"
    if cells.get("clicklimit"):
        given["click_limit"] = cells["clicklimit"]
    for name in ("rules", "variants"):
        if cells.get(name):
            try:
                given[name] = json.loads(cells[name])
            except ValueError:
                given[name] = cells[name]
    return given


def _foreign(row: Row) -> dict[str, Any]:
    """Return a link of another product's export, whichever names its columns have."""
    cells = {name: value.strip() for name, value in row.items()}

    def first(*names: str) -> str:
        return next((cells[name] for name in names if cells.get(name)), "")

    short = first("bitlink", "bitlinkurl", "shortlink", "shorturl", "link")
    parts = urlsplit(short if "://" in short else f"//{short}")
    given: dict[str, Any] = {
        "target_url": first("longurl", "destinationurl", "url", "originalurl"),
        "slug": unquote(first("shortcode", "key", "slug") or parts.path.strip("/")),
        "host": (first("domain") or parts.netloc).lower(),
    }
    tags = [tag.strip() for tag in re.split(r"[,|;]", first("tags")) if tag.strip()]
    more = {
        "title": first("title"),
        "description": first("description", "comments"),
        "expires_at": first("expiresat", "validuntil"),
        "expired_url": first("expiredurl"),
        "valid_since": first("validsince"),
        "click_limit": first("maxvisits"),
        "tags": tags[:50],
    }
    return given | {name: value for name, value in more.items() if value}


def _unguarded(value: str) -> str:
    # our own export puts an apostrophe before what a spreadsheet would run
    return value[1:] if value.startswith(("'=", "'+", "'-", "'@")) else value
