"""From a file to a connector."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from mainstem.connectors.calling import Caller, Patience
from mainstem.connectors.connector import Connector, Rules
from mainstem.connectors.first_mapping import mapping_at
from mainstem.connectors.generic.bookings import Reader
from mainstem.connectors.generic.file import File, read
from mainstem.connectors.generic.sink import GenericSink
from mainstem.connectors.generic.source import GenericSource, Verifier
from mainstem.connectors.mapping import Entry, write_csv
from mainstem.connectors.pace import Pace
from mainstem.platform.outbound import Outbound

OWN: Final = "/webhooks/connectors"
"""Where deliveries are posted, before the name of the connector."""


def load(path: Path, outbound: Outbound, environment: Mapping[str, str]) -> Connector:
    """Return the connector of a file. Raises FileError, OSError."""
    return build(read(path, environment), outbound, folder=path.parent)


def build(file: File, outbound: Outbound, patience: Patience | None = None, *, folder: Path | None = None) -> Connector:
    """Return the connector that a file describes; nothing is called yet. `folder`: where files that it names are."""
    rules = Rules(
        establishment=file.establishment,
        site_id=file.site_id,
        locations=frozenset(file.locations),
        statuses=frozenset(status.upper() for status in file.statuses),
        zone=file.zone,
        prefix=file.prefix if file.prefix is not None else f"{file.name}_",
        namespace=uuid5(NAMESPACE_URL, f"mainstem:connector:{file.name}"),
        on_change=file.on_change,
        on_cancel=file.on_cancel,
    )
    reader = Reader(file.source, file.zone)
    sink = GenericSink(file.sink, rules.prefix, _caller(file, outbound, patience))
    return Connector(
        name=file.name,
        tenant=file.tenant,
        source=GenericSource(file.source, reader, _caller(file, outbound, patience)),
        sink=sink,
        verify=Verifier(file.source.secrets),
        read=reader.notice,
        rules=rules,
        products=None if file.sink.products is None else sink.products,
        first_mapping=_first_mapping(file, outbound, folder),
        enabled=file.enabled,
        dry_run=file.dry_run,
        title=file.title or file.name,
        injected="ORDER_INJECTED",
        paths=(f"{OWN}/{file.name}",),
        every=timedelta(minutes=file.every_minutes),
        look_back=timedelta(hours=file.look_back_hours),
    )


def _first_mapping(file: File, outbound: Outbound, folder: Path | None) -> Callable[[], Awaitable[str]] | None:
    if file.mapping is None:
        return None
    if isinstance(file.mapping, str):
        return mapping_at(file.mapping, outbound, f"mapping of {file.name}", folder)
    entries = [
        Entry(one.item.strip(), None if one.ignore else str(one.product), one.product_name) for one in file.mapping
    ]

    async def written() -> str:
        return write_csv(entries)

    return written


def _caller(file: File, outbound: Outbound, patience: Patience | None) -> Caller:
    return Caller(outbound, Pace(file.calls_per_s), patience)
