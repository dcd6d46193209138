"""The tool about a customer's way: clicks, visits and events in order, without anything personal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from mainstem.assistant.ports import Arguments, Hints, Tool, ToolContext
from mainstem.assistant.tools.words import Text
from mainstem.pii.box import Keyring
from mainstem.pii.store import Subjects
from mainstem.platform.answers import Moment
from mainstem.platform.db import load_queries
from mainstem.platform.errors import ForbiddenError, InvalidFieldError, NotFoundError, UnavailableError
from mainstem.subjects.find import find, identifiers_of

_VISITOR: Final = ("v:", "u:", "h:")
_sql: Final = load_queries("mainstem.assistant.tools", "journey.sql")


class CustomerJourney(Arguments):
    """Whose way, and how much of it."""

    customer: Text | None = Field(
        default=None,
        max_length=300,
        description="Customer id, or key of a visitor: v:<visitor id>, u:<user id> or h:<hash>.",
    )
    email: Text | None = Field(
        default=None, max_length=254, description="Instead of `customer`; needs the scope admin, for it is personal."
    )
    days: int = Field(default=30, ge=1, le=92, description="Days up to now.")
    limit: int = Field(default=50, ge=1, le=200)


class JourneyStep(BaseModel):
    """Something that the customer did, or that happened to them."""

    at: Moment
    kind: str = Field(description="click, visit or event.")
    what: str | None = Field(description="Tracking id of the link, path of the page, or kind of the event.")
    detail: str | None = Field(description="Source of a click, or type of a site event.")
    channel: str | None
    campaign: str | None


class JourneyOut(BaseModel):
    """A customer's way, the latest step first."""

    customer: str | None
    visitors: int = Field(description="Devices that said they are this customer.")
    steps: list[JourneyStep]


def tools(keyring: Callable[[], Keyring]) -> tuple[Tool[Any], ...]:
    """Return the tool; `keyring` gives the key that finds people by e-mail address."""

    async def customer_journey(context: ToolContext, given: CustomerJourney) -> JourneyOut:
        customer = given.customer
        if (customer is None) == (given.email is None):
            raise InvalidFieldError("Give either customer or email.", field="customer")
        if given.email is not None:
            customer = await _by_email(context, keyring(), given.email)
        return await _journey(context, customer or "", given)

    return (
        Tool(
            name="customer_journey",
            title="A customer's journey",
            description="Tell what a customer did: clicks, visits and events of the last days, without personal data.",
            arguments=CustomerJourney,
            result=JourneyOut,
            scope="read",
            hints=Hints(read_only=True, idempotent=True),
            run=customer_journey,
        ),
    )


async def _by_email(context: ToolContext, keyring: Keyring, email: str) -> str:
    if "admin" not in context.caller.scopes:
        raise ForbiddenError("Finding people by e-mail address needs the scope admin.", field="email")
    people = await find(context.connection, Subjects(keyring), context.caller.tenant_id, identifiers_of(email=email))
    if not people:
        raise NotFoundError("Nobody is known by this address.")
    return str(people[0].subject_id)


async def _journey(context: ToolContext, customer: str, given: CustomerJourney) -> JourneyOut:
    connection, tenant_id = context.connection, context.caller.tenant_id
    since = context.now - timedelta(days=given.days)
    try:
        await connection.execute(_sql["patience"])
        if customer.startswith(_VISITOR):
            person, visitors = None, [customer]
        else:
            person = _customer(customer)
            visitors = [row["visitor"] for row in await connection.fetch(_sql["visitors_of"], tenant_id, person)]
        rows = await connection.fetch(_sql["steps"], tenant_id, visitors, person, since, given.limit)
    except asyncpg.QueryCanceledError:
        raise UnavailableError("There is too much to look through; ask for fewer days.") from None
    return JourneyOut(customer=person, visitors=len(visitors), steps=[JourneyStep(**dict(row)) for row in rows])


def _customer(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidFieldError("customer is a customer id or the key of a visitor.", field="customer") from None
