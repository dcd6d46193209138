"""What the connectors API takes and answers."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mainstem.connectors.mapping import LONGEST, MOST_ENTRIES
from mainstem.platform.answers import Moment

Text = Annotated[str, Field(max_length=LONGEST, pattern=r"^[^\x00]*$")]


class DeliveryAnswer(BaseModel):
    """What became of a delivery."""

    ok: bool
    processed: bool
    reason: str = Field(description="See CONTRACTS: REVEL_INJECTED, ALREADY_INJECTED, UNMAPPED_ITEM and so on.")
    trigger: str | None = None
    delivery_id: int | None = None
    event_id: str | None = None
    revel_order_id: str | None = None
    order_id: str | None = Field(default=None, description="The same as `revel_order_id`, whatever the sink.")
    error: str | None = None


class Summary(BaseModel):
    """How many bookings became what."""

    queried: int = 0
    injected: int = 0
    skipped: int = 0
    failed: int = 0


class SyncEvent(BaseModel):
    """What became of one booking."""

    id: str
    name: str
    date: str | None
    status: str
    revel_order_id: str | None
    order_id: str | None = Field(description="The same as `revel_order_id`, whatever the sink.")
    reason: str | None
    error: str | None


class SyncOut(BaseModel):
    """What a sync did; every field is there, also when it failed."""

    success: bool
    mode: Literal["single", "bulk", "error"]
    summary: Summary
    events: list[SyncEvent]
    run_id: int | None
    correlation_id: str | None
    dry_run: bool
    error: str | None
    differences: int = 0


class SyncRefusal(SyncOut):
    """A fault of the caller's own, in the shape that clients of a sync know."""

    code: str
    request_id: str


class ConnectorOut(BaseModel):
    """One connector and how it is."""

    name: str
    enabled: bool
    dry_run: bool
    establishment: str
    site_id: str | None
    statuses: list[str]
    paths: list[str]
    interval_minutes: float
    next_run_at: Moment | None
    bookings: int
    orders: dict[str, int]
    open_deliveries: int
    last_delivery_at: Moment | None
    last_run: "RunOut | None"


class ConnectorList(BaseModel):
    """The connectors of the tenant."""

    items: list[ConnectorOut]
    total: int


class RunOut(BaseModel):
    """One run."""

    id: int
    mode: str
    dry_run: bool
    correlation_id: str
    since: Moment | None
    until: Moment | None
    started_at: Moment
    finished_at: Moment | None
    success: bool | None
    error: str | None
    summary: Summary
    bookings_read: int
    orders_read: int
    differences: int
    by: str


class RunList(BaseModel):
    """A page of runs."""

    items: list[RunOut]
    total: int
    page: int
    page_size: int
    pages: int


class DifferenceOut(BaseModel):
    """One thing that differed."""

    kind: str
    booking_id: str | None
    local_id: str
    order_id: str | None
    sentence: str
    done: str | None


class DiffOut(BaseModel):
    """What a run found to differ; without a run there is none yet."""

    run: RunOut | None
    counts: dict[str, int]
    items: list[DifferenceOut]
    events: list[dict[str, Any]]


class SignInOut(BaseModel):
    """A sign-in at a source that was begun."""

    url: str = Field(description="Where an admin of the source signs in: for that person alone.")
    redirect_uri: str = Field(description="Where the browser comes back to.")
    expires_at: Moment


class OrderOut(BaseModel):
    """One row of the order ledger."""

    id: int
    booking_id: str
    name: str
    date: date | None
    booking_status: str
    state: str
    reason: str | None
    error: str | None
    local_id: str
    revel_order_id: str | None
    order_id: str | None = Field(description="The same as `revel_order_id`, whatever the sink.")
    order_hash: str
    total: Decimal | None
    attempts: int
    submitted_at: Moment | None
    not_before: Moment | None
    confirmed_at: Moment | None
    created_at: Moment
    changed_at: Moment
    changed_by: str
    correlation_id: str | None = Field(description="Of the request or run that it goes back to, as in the log.")


class OrderList(BaseModel):
    """A page of the ledger."""

    items: list[OrderOut]
    total: int
    page: int
    page_size: int
    pages: int


class StepOut(BaseModel):
    """One step of an order."""

    was: str | None
    state: str
    reason: str | None
    order_id: str | None
    by: str
    at: Moment


class DeliveryOut(BaseModel):
    """One delivery as it came; its body is kept sealed and is not shown."""

    id: int
    received_at: Moment
    signature: str
    header_names: list[str]
    body_sha256: str
    body_bytes: int
    repeats: int | None
    trigger: str | None
    booking_id: str | None
    outcome: str | None
    ok: bool | None
    processed: bool | None
    order_id: str | None
    error: str | None
    attempts: int
    finished_at: Moment | None
    correlation_id: str | None = Field(description="Of the request that brought it, as in the log.")


class DeliveryList(BaseModel):
    """A page of deliveries."""

    items: list[DeliveryOut]
    total: int
    page: int
    page_size: int
    pages: int


class ItemIn(BaseModel):
    """What an item of the source is: a product of the sink, or nothing that an order has."""

    item: Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$")]
    product: Text | None = None
    product_name: Text = ""
    ignore: bool = False


class ItemsIn(BaseModel):
    """Entries to add or change."""

    items: list[ItemIn] = Field(min_length=1, max_length=MOST_ENTRIES)


class ItemOut(BaseModel):
    """An entry of the mapping."""

    item: str
    product: str | None
    product_name: str
    ignore: bool
    changed_by: str
    changed_at: Moment


class ItemList(BaseModel):
    """The mapping."""

    items: list[ItemOut]
    total: int


class ImportOut(BaseModel):
    """What an import did."""

    imported: int
    deleted: int


class ProposalOut(BaseModel):
    """A product that an item might be."""

    product: str
    product_name: str
    score: float


class UnmappedOut(BaseModel):
    """An item without a product, the bookings that it holds up, and products with a name like it. Nothing is chosen here."""

    item: str
    bookings: int
    proposals: list[ProposalOut]


class UnmappedList(BaseModel):
    """Items that hold bookings up."""

    items: list[UnmappedOut]
    total: int
    products_error: str | None = Field(default=None, description="Why the products could not be read.")
