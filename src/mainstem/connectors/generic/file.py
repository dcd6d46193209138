"""The file of a connector: what it is called, what is where in the webhook and in the order, and which addresses are called."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import yaml

from mainstem.connectors.gate import zone_named
from mainstem.connectors.generic.place import Place
from mainstem.connectors.generic.template import check, with_environment
from mainstem.connectors.mapping import LONGEST, key_of
from mainstem.platform.errors import InvalidFieldError
from mainstem.platform.settings import SettingsError
from mainstem.platform.standard_webhooks import Secret

BOOKING_VALUES: Final = ("booking_id",)
WINDOW_VALUES: Final = ("since", "until", "since_day", "until_day")
DAYS_VALUES: Final = ("establishment", "since", "until")
PLAN_VALUES: Final = (
    *("local_id", "uuid", "establishment", "title", "on", "starts_at", "guests", "notes", "total", "order_hash"),
)
ITEM_VALUES: Final = ("product", "name", "quantity", "price", "note")
PRODUCTS_VALUES: Final = ("establishment",)
FOUND_VALUES: Final = ("local_id", "uuid", "establishment")
ORDER_VALUES: Final = (*PLAN_VALUES, "order_id")
VOID_VALUES: Final = ("order_id", "local_id", "reason")
_LARGEST_BYTES: Final = 1_048_576


class FileError(SettingsError):
    """A file can't be used; the sentences say what is wrong."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all parts of the file have in common: unknown names are faults."""


class LineFields(_Part):
    """Where the fields of a line are, from the line."""

    name: str
    quantity: str
    line_id: str | None = None
    unit_price: str | None = None
    category: str | None = None
    note: str | None = None


class BookingFields(_Part):
    """Where the fields of a booking are, from the booking."""

    booking_id: str
    name: str
    on: str
    lines: str
    line: LineFields
    site_id: str | None = None
    status: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    guests: str | None = None
    total: str | None = None
    updated: str | None = None
    deleted: str | None = None


class One(_Part):
    """An address that gives one thing."""

    url: str
    at: str = ""


class List(_Part):
    """An address that gives a list."""

    url: str
    list: str = ""
    next: str | None = None
    """Where the address of the next page is; without it, all is on one."""
    none_is_404: bool = False
    """Whether 404 means that there is none: not where it may also mean that the address is wrong."""


class SourcePart(_Part):
    """Where bookings come from."""

    secrets: list[str]
    fields: BookingFields
    booking: One
    changed: List | None = None
    trigger: str = "type"
    bookings: str = "data"
    """Where the booking, or a list of them, is in the body of a webhook."""
    triggers: dict[str, Literal["changed", "deleted"]] = {}
    """What the words of the trigger mean; none given: everything is a change."""
    defaults: dict[Literal["site_id", "status", "name"], str] = {}
    headers: dict[str, str] = {}


class Call(_Part):
    """A change at the sink."""

    url: str
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, str] = {}
    body: Any = None
    may_repeat: bool = False
    """Whether making it twice is as good as once: by its nature, or by an idempotency key among the headers."""


class Create(Call):
    """The call that makes an order."""

    at: str = ""
    """Where the order is in the answer."""


class Products(List):
    """The products of the sink: what items are mapped to, and what proposals are made of."""

    product: str = "id"
    name: str = "name"


class Mapped(_Part):
    """What one item of the source is."""

    item: str
    product: str | int | None = None
    product_name: str = ""
    ignore: bool = False


class OrderFields(_Part):
    """Where the fields of an order are, from the order."""

    order_id: str
    local_id: str
    uuid: str | None = None
    total: str | None = None
    items: str | None = None
    product: str = "product"
    quantity: str = "quantity"
    voided: str | None = None
    voided_when: list[Any] = []
    """Values that mean void; none given: whatever is true."""
    closed: str | None = None
    closed_when: list[Any] = []


class SinkPart(_Part):
    """Where orders go."""

    create: Create
    find: List
    orders: List
    order: OrderFields
    replace: Create | None = None
    void: Call | None = None
    products: Products | None = None
    headers: dict[str, str] = {}


class File(_Part):
    """A whole file."""

    name: str
    establishment: str
    source: SourcePart
    sink: SinkPart
    title: str | None = None
    tenant: str = "default"
    enabled: bool = True
    dry_run: bool = False
    site_id: str | None = None
    locations: list[str] = []
    statuses: list[str] = msgspec.field(default_factory=lambda: ["CONFIRMED"])
    zone: str | None = None
    prefix: str | None = None
    on_change: Literal["replace", "flag"] = "replace"
    on_cancel: Literal["void", "flag"] = "void"
    every_minutes: int = 45
    look_back_hours: int = 48
    calls_per_s: int = 10
    mapping: list[Mapped] | str | None = None
    """The first mapping: entries, or the file or address of a CSV."""


def read(path: Path, environment: Mapping[str, str]) -> File:
    """Return what a file says, YAML or JSON, with what it takes from the environment. Raises FileError, OSError."""
    return parse(path.read_text(encoding="utf-8"), path.name, environment)


def parse(text: str, name: str, environment: Mapping[str, str]) -> File:
    """Return what a text says. Raises FileError."""
    if len(text) > _LARGEST_BYTES:
        raise FileError([f"{name}: is larger than {_LARGEST_BYTES} bytes"])
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        found = msgspec.convert(with_environment(value, environment), File)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # msgspec's error is a ValueError, and names the place
        raise FileError([f"{name}: {error}"]) from error
    problems = [f"{name}: {sentence}" for sentence in _problems(found)]
    if problems:
        raise FileError(problems)
    return found


def _problems(file: File) -> Iterator[str]:
    if not (file.name.isascii() and file.name.replace("-", "").replace("_", "").isalnum() and len(file.name) <= 40):
        yield "name: is up to 40 letters, digits, - and _"
    if file.zone is not None and zone_named(file.zone) is None:
        yield f"zone: {file.zone!r} is no zone of the IANA database"
    for number in (file.every_minutes, file.look_back_hours, file.calls_per_s):
        if not 1 <= number <= 10_000:
            yield "every_minutes, look_back_hours and calls_per_s are from 1 to 10,000"
    yield from _unreadable(file)
    yield from _unmappable(file.mapping)
    for place, template, known, of_items in _templates(file):
        for sentence in check(template, known, of_items):
            yield f"{place}: {sentence}"


def _unreadable(file: File) -> Iterator[str]:
    for place, text in _places(file):
        try:
            Place.parse(text)
        except ValueError as error:
            yield f"{place}: {error}"
    for secret in file.source.secrets:
        try:
            Secret.parse(secret)
        except InvalidFieldError:
            yield "source.secrets: a secret is whsec_ and base64 of 24 to 64 random bytes"


def _unmappable(mapping: list[Mapped] | str | None) -> Iterator[str]:
    if mapping == "":
        yield "mapping: is a list of entries, or the file or address of a CSV"
    seen: set[str] = set()
    for place, one in enumerate(mapping if isinstance(mapping, list) else ()):
        key = key_of(one.item)
        if not key or len(one.item) > LONGEST:
            yield f"mapping.{place}.item: is the name of an item, at most {LONGEST} characters"
        elif key in seen:
            yield f"mapping.{place}.item: {one.item!r} stands there twice"
        if one.ignore == (one.product not in {None, ""}):
            yield f"mapping.{place}: an item has a product, or is ignored"
        seen.add(key)


def _places(file: File) -> Iterator[tuple[str, str]]:
    source, sink = file.source, file.sink
    parts: dict[str, _Part] = {
        "source.fields": source.fields,
        "source.fields.line": source.fields.line,
        "sink.order": sink.order,
    }
    for name, part in parts.items():
        for field in part.__struct_fields__:
            text = getattr(part, field)
            if isinstance(text, str):
                yield f"{name}.{field}", text
    yield from (("source.trigger", source.trigger), ("source.bookings", source.bookings))
    yield from (("source.booking.at", source.booking.at), ("sink.create.at", sink.create.at))
    if sink.products is not None:
        yield from (("sink.products.product", sink.products.product), ("sink.products.name", sink.products.name))
    lists: dict[str, List | None] = {
        "source.changed": source.changed,
        "sink.find": sink.find,
        "sink.orders": sink.orders,
        "sink.products": sink.products,
    }
    for name, one in lists.items():
        if one is not None:
            yield f"{name}.list", one.list
            if one.next is not None:
                yield f"{name}.next", one.next
    if sink.replace is not None:
        yield "sink.replace.at", sink.replace.at


def _templates(file: File) -> Iterator[tuple[str, Any, tuple[str, ...], tuple[str, ...]]]:
    source, sink = file.source, file.sink
    yield "source.booking.url", source.booking.url, BOOKING_VALUES, ()
    if source.changed is not None:
        yield "source.changed.url", source.changed.url, WINDOW_VALUES, ()
    yield "sink.find.url", sink.find.url, FOUND_VALUES, ()
    yield "sink.orders.url", sink.orders.url, DAYS_VALUES, ()
    if sink.products is not None:
        yield "sink.products.url", sink.products.url, PRODUCTS_VALUES, ()
    calls: list[tuple[str, Call | None, tuple[str, ...], tuple[str, ...]]] = [
        ("sink.create", sink.create, PLAN_VALUES, ITEM_VALUES),
        ("sink.replace", sink.replace, ORDER_VALUES, ITEM_VALUES),
        ("sink.void", sink.void, VOID_VALUES, ()),
    ]
    for name, call, known, of_items in calls:
        if call is not None:
            yield f"{name}.url", call.url, known, ()
            yield f"{name}.headers", call.headers, known, ()
            yield f"{name}.body", call.body, known, of_items
