"""What the links API takes and answers, field by field."""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from mainstem.platform.answers import Moment

Url = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Utm = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Word = Annotated[str, StringConstraints(max_length=200)]
Host = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        pattern=r"^$|^[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(:[0-9]{1,5})?$",
    ),
]


class ConditionIn(BaseModel):
    """One condition of a rule; `key` for those that look at a parameter."""

    type: str = Field(examples=["device"])
    key: str | None = None
    value: str | None = Field(default=None, examples=["ios"])


class RuleIn(BaseModel):
    """Where to go when all conditions hold."""

    target_url: Url
    conditions: list[ConditionIn]


class VariantIn(BaseModel):
    """One target of an A/B test and its share."""

    target_url: Url
    weight: int = Field(default=1, ge=1, le=10_000)


class Tagging(BaseModel):
    """Parameters that are added to the target."""

    utm_source: Utm | None = None
    utm_medium: Utm | None = None
    utm_campaign: Utm | None = None
    utm_term: Utm | None = None
    utm_content: Utm | None = None


class _Settable(Tagging):
    """What can be set and changed."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(max_length=300)] | None = None
    description: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    campaign_id: int | None = Field(default=None, description="Template of utm_*; the link's own win.")
    link_function: Word | None = None
    link_type: Word | None = None
    job_id: Word | None = None
    application_id: Word | None = None
    valid_since: AwareDatetime | None = Field(default=None, description="Visits before are answered 404.")
    expires_at: AwareDatetime | None = None
    expired_url: Url | None = Field(default=None, description="Where visits go after expires_at; else 410.")
    click_limit: int | None = Field(
        default=None, ge=1, le=10**12, description="Clicks of people after which visits go to limit_url."
    )
    limit_url: Url | None = None
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Asked for before the redirect; stored as a hash, never shown."
    )


class LinkIn(_Settable):
    """A new link."""

    target_url: Url = Field(description="Where it leads: http or https, and what LINK_SCHEMES allows.")
    slug: str | None = Field(
        default=None, description="Made up when absent: seven letters without look-alikes.", examples=["menu"]
    )
    host: Host = Field(default="", description="One of your domains; empty: the hub's own address.")
    tracking_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] | None = Field(
        default=None, description="Name in clicks; the slug when absent."
    )
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    forward_query: bool = Field(default=True, description="Add the visit's parameters to the target.")
    append_click: bool = Field(default=False, description="Add ms_click=<id of the click> to the target.")
    rules: list[RuleIn] = Field(default_factory=list)
    variants: list[VariantIn] = Field(default_factory=list)
    active: bool = True
    find_if_exists: bool = Field(
        default=False,
        description="Return the link of that host and slug when it is yours and leads to the same target.",
    )


class LinkPatch(_Settable):
    """Changes of a link; absent fields stay, null clears."""

    target_url: Url | None = None
    slug: str | None = None
    host: Host | None = None
    tags: list[Tag] | None = Field(default=None, max_length=50)
    forward_query: bool | None = None
    append_click: bool | None = None
    rules: list[RuleIn] | None = None
    variants: list[VariantIn] | None = None
    active: bool | None = None
    archived: bool | None = None


class LinkOut(Tagging):
    """A tracked link."""

    id: int
    tracking_id: str
    host: str = Field(description="Empty: the hub's own address.")
    slug: str
    short_url: str
    target_url: str
    title: str | None
    description: str | None
    tags: list[str]
    campaign_id: int | None
    campaign: str | None
    link_function: str | None
    link_type: str | None
    job_id: str | None
    application_id: str | None
    valid_since: Moment | None
    expires_at: Moment | None
    expired_url: str | None
    click_limit: int | None
    limit_url: str | None
    has_password: bool
    forward_query: bool
    append_click: bool
    rules: list[dict[str, Any]]
    variants: list[dict[str, Any]]
    active: bool
    archived: bool
    created_by: str
    created_at: Moment
    updated_at: Moment
    clicks: int = Field(description="Of people, since the beginning.")
    bot_clicks: int
    last_clicked_at: Moment | None


class LinkList(BaseModel):
    """A page of links."""

    items: list[LinkOut]
    next_cursor: str | None = Field(description="Ask again with it for the next page; null: this was the last.")


class BulkCreate(BaseModel):
    """Links to make; each is looked at when it is its turn, so that one bad one harms only itself."""

    links: list[dict[str, Any]] = Field(min_length=1, max_length=1_000)


class BulkChange(BaseModel):
    """Changes of links, each with its id."""

    links: list[dict[str, Any]] = Field(min_length=1, max_length=1_000, description="`{id, …}` as PATCH takes it.")


class BulkIds(BaseModel):
    """Which links."""

    ids: list[int] = Field(min_length=1, max_length=1_000)


class ItemOut(BaseModel):
    """What became of one item."""

    index: int
    success: bool
    id: int | None = None
    link: LinkOut | None = None
    code: str | None = None
    error: str | None = None
    field: str | None = None


class BulkOut(BaseModel):
    """What became of each item; 207 when some failed."""

    success: bool
    succeeded: int
    failed: int
    results: list[ItemOut]

    @classmethod
    def of(cls, results: list[ItemOut]) -> Self:
        """Count them."""
        failed = sum(not one.success for one in results)
        return cls(success=failed == 0, succeeded=len(results) - failed, failed=failed, results=results)


class DomainIn(BaseModel):
    """A host of your own for links; point it at this hub."""

    host: Host = Field(min_length=1, examples=["go.example.com"])
    root_url: Url | None = Field(default=None, description="Where a visit of the bare host goes.")
    missing_url: Url | None = Field(default=None, description="Where a visit of an unknown slug goes.")
    expired_url: Url | None = Field(default=None, description="Where a visit of an expired link goes.")


class DomainPatch(BaseModel):
    """Changes of a domain; absent fields stay, null clears."""

    root_url: Url | None = None
    missing_url: Url | None = None
    expired_url: Url | None = None


class DomainOut(DomainPatch):
    """A domain."""

    id: int
    host: str
    created_at: Moment


class CampaignIn(Tagging):
    """A template of utm_* for the links of a campaign."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CampaignPatch(Tagging):
    """Changes of a campaign; absent fields stay, null clears."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    archived: bool | None = None


class CampaignOut(Tagging):
    """A campaign."""

    id: int
    name: str
    archived: bool
    created_at: Moment
    updated_at: Moment


class TagOut(BaseModel):
    """A tag and how many links have it."""

    name: str
    links: int


class TagRename(BaseModel):
    """A tag's new name; one that exists takes the links over."""

    name: Tag


class DomainList(BaseModel):
    """All domains."""

    items: list[DomainOut]


class CampaignList(BaseModel):
    """All campaigns."""

    items: list[CampaignOut]


class TagList(BaseModel):
    """All tags."""

    items: list[TagOut]


class ImportOut(BaseModel):
    """What an import did."""

    format: Literal["mainstem", "bitly", "dub", "shlink"]
    dry_run: bool
    rows: int
    created: int
    updated: int
    skipped: int = Field(description="Their slug was there already.")
    failed: int
    errors: list["ImportFault"] = Field(description="The first hundred.")


class ImportFault(BaseModel):
    """Why a row was not taken."""

    line: int
    code: str
    field: str | None
    error: str
