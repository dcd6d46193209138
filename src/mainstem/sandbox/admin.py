"""How people and tests set the sandbox up. Answers the machine itself only; needs no sign-in there."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mainstem.sandbox.admin_orders import OrdersAdmin
from mainstem.sandbox.answers import NotJsonError, answer, read_object
from mainstem.sandbox.box import Sandbox
from mainstem.sandbox.calls import shown
from mainstem.sandbox.faults import Draft
from mainstem.sandbox.openai import Reply
from mainstem.sandbox.pointing import mapped, mapping_csv, settings
from mainstem.sandbox.sending import Delivery
from mainstem.sandbox.tripleseat.desk import EventDraft
from mainstem.sandbox.tripleseat.model import Event
from mainstem.sandbox.tripleseat.render import event_json
from mainstem.sandbox.venues import SITES

Handler = Callable[[Request], Awaitable[Response]]
_SETTLE_S: Final = 30.0


class Target(BaseModel):
    """Where webhooks go."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(pattern=r"^https?://")
    site_ids: list[int] | None = None


class _Drafts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    faults: list[Draft]


class _Replies(BaseModel):
    model_config = ConfigDict(extra="forbid")

    replies: list[Reply]


class Admin:
    """The routes below /admin."""

    def __init__(self, box: Sandbox) -> None:
        """Keep the sandbox."""
        self._box = box

    def routes(self) -> list[BaseRoute]:
        """Return all routes behind the checks of `local`."""
        table: list[tuple[str, str, Handler]] = [
            ("/events", "GET", self.events),
            ("/events", "POST", self.book),
            ("/events/{event_id:int}", "GET", self.event),
            ("/events/{event_id:int}", "PATCH", self.change),
            ("/events/{event_id:int}", "DELETE", self.delete),
            ("/faults", "GET", self.faults),
            ("/faults", "POST", self.set_fault),
            ("/faults", "DELETE", self.clear_faults),
            ("/faults/{fault_id:int}", "DELETE", self.clear_faults),
            ("/config", "GET", self.config),
            ("/config", "PATCH", self.set_config),
            ("/target", "GET", self.target),
            ("/target", "PUT", self.set_target),
            ("/webhooks", "GET", self.webhooks),
            ("/webhooks/{number:int}/resend", "POST", self.resend),
            ("/requests", "GET", self.requests),
            ("/requests", "DELETE", self.forget_requests),
            ("/replies", "POST", self.set_replies),
            ("/replies", "DELETE", self.clear_replies),
            ("/mapping.csv", "GET", self.mapping),
            ("/credentials", "GET", self.credentials),
            ("/tokens", "DELETE", self.revoke),
            ("/reset", "POST", self.reset),
            *OrdersAdmin(lambda: self._box.till).table(),
        ]
        return [Route(path, local(handler), methods=[method]) for path, method, handler in table]

    async def events(self, _request: Request) -> Response:
        """Return all events."""
        found = [self._shown(event, []) for event in self._box.desk.events]
        return answer({"events": found, "total": len(found)})

    async def event(self, request: Request) -> Response:
        """Return one event."""
        event = self._box.desk.events.get(request.path_params["event_id"])
        return _missing("event") if event is None else answer(self._shown(event, []))

    async def book(self, request: Request) -> Response:
        """Book an event of today, or `count` of them."""
        draft = EventDraft.model_validate(await read_object(request))
        if draft.count > 1 and draft.id is not None:
            return answer({"error": "several events can't have one id"}, 400)
        try:
            made = [self._box.desk.create(draft) for _ in range(draft.count)]
        except KeyError:
            return answer({"error": f"event {draft.id} is there already"}, 409)
        if draft.count == 1:
            return answer(self._shown(*made[0]), 201)
        return answer({"events": [self._shown(*one) for one in made], "total": len(made)}, 201)

    async def change(self, request: Request) -> Response:
        """Change an event."""
        event = self._box.desk.events.get(request.path_params["event_id"])
        if event is None:
            return _missing("event")
        draft = EventDraft.model_validate(await read_object(request))
        return answer(self._shown(event, self._box.desk.change(event, draft)))

    async def delete(self, request: Request) -> Response:
        """Delete an event."""
        event = self._box.desk.events.get(request.path_params["event_id"])
        if event is None:
            return _missing("event")
        return answer(self._shown(event, self._box.desk.delete(event)))

    def _shown(self, event: Event, sent: list[Delivery]) -> dict[str, Any]:
        """Return an event with what a test wants to know first; `event` is how Tripleseat shows it."""
        return {
            "id": event.event_id,
            "name": event.name,
            "status": event.status,
            "site_id": event.site.site_id,
            "establishment": event.site.establishment,
            "event_date": event.starts_at.date().isoformat(),
            "local_id": f"Triple Seat_{event.event_id}",
            "items": [mapped(event, line) for line in event.lines],
            "subtotal": str(event.subtotal),
            "total": str(event.subtotal + event.tax),
            "webhooks": [delivery.number for delivery in sent],
            "event": event_json(event, financial=True, lines=True),
        }

    async def faults(self, _request: Request) -> Response:
        """Return the faults that are set."""
        return answer({"faults": [fault.model_dump(mode="json") for fault in self._box.faults.all]})

    async def set_fault(self, request: Request) -> Response:
        """Set a fault, or those of `faults`."""
        given = await read_object(request)
        if "faults" not in given:
            return answer(self._box.faults.add(Draft.model_validate(given)).model_dump(mode="json"), 201)
        drafts = _Drafts.model_validate(given).faults
        return answer({"faults": [self._box.faults.add(draft).model_dump(mode="json") for draft in drafts]}, 201)

    async def clear_faults(self, request: Request) -> Response:
        """Clear one fault, or all."""
        fault_id = request.path_params.get("fault_id")
        found = self._box.faults.remove(fault_id)
        return _missing("fault") if fault_id is not None and not found else Response(status_code=204)

    async def config(self, _request: Request) -> Response:
        """Return how both services behave."""
        return answer(self._box.config.model_dump())

    async def set_config(self, request: Request) -> Response:
        """Change how they behave."""
        box = self._box
        changed = type(box.config).model_validate(box.config.model_dump() | await read_object(request))
        for name, value in changed:
            setattr(box.config, name, value)
        return answer(box.config.model_dump())

    async def target(self, _request: Request) -> Response:
        """Return where webhooks go."""
        box = self._box
        endpoints = [one.shown() for site_id in box.target_sites for one in box.desk.endpoints.of_site(site_id)]
        return answer({"url": box.target, "site_ids": list(box.target_sites), "endpoints": endpoints})

    async def set_target(self, request: Request) -> Response:
        """Send the webhooks of some sites (without `site_ids`: of the same as before) to an address."""
        target = Target.model_validate(await read_object(request))
        self._box.aim(target.url, self._box.target_sites if target.site_ids is None else target.site_ids)
        return await self.target(request)

    async def webhooks(self, request: Request) -> Response:
        """Return what was sent; with `settled=true` once nothing is on its way any more."""
        sender = self._box.sender
        settled = request.query_params.get("settled") != "true" or await sender.settled(_SETTLE_S)
        about = request.query_params.get("about")
        found = [one.shown() for one in sender.deliveries if about is None or str(one.letter.about) == about]
        return answer({"webhooks": found, "total": len(found), "settled": settled})

    async def resend(self, request: Request) -> Response:
        """Send a webhook once more, byte for byte, signed anew."""
        sender = self._box.sender
        number = request.path_params["number"]
        old = next((one for one in sender.deliveries if one.number == number), None)
        return _missing("webhook") if old is None else answer(sender.send(old.letter).shown(), 202)

    async def requests(self, request: Request) -> Response:
        """Return calls: `service`, `method`, `path` (all with *) choose, `limit` cuts from the end."""
        given = request.query_params
        limit = given.get("limit", "1000")
        if not (limit.isascii() and limit.isdigit()):
            return answer({"error": "limit: a whole number is expected"}, 422)
        found = self._box.calls.found(given.get("service", "*"), given.get("method", "*"), given.get("path", "*"))
        return answer({"count": len(found), "requests": list(shown(found, int(limit)))})

    async def forget_requests(self, _request: Request) -> Response:
        """Forget the calls."""
        self._box.calls.clear()
        return Response(status_code=204)

    async def set_replies(self, request: Request) -> Response:
        """Tell the language model what to say next, one reply for each request to it."""
        given = _Replies.model_validate(await read_object(request))
        self._box.brain.replies.extend(given.replies)
        return answer({"waiting": len(self._box.brain.replies)}, 201)

    async def clear_replies(self, _request: Request) -> Response:
        """Let the language model say what it likes again."""
        self._box.brain.replies.clear()
        return Response(status_code=204)

    async def mapping(self, request: Request) -> Response:
        """Return which item of a site (the first, unless `site_id` names one) is which product, as CSV."""
        wanted = request.query_params.get("site_id", str(SITES[0].site_id))
        site = next((site for site in SITES if str(site.site_id) == wanted), None)
        return _missing("site") if site is None else PlainTextResponse(mapping_csv(site), media_type="text/csv")

    async def credentials(self, request: Request) -> Response:
        """Return the settings that point a hub here, and the secret of Revel's webhooks, for which there is no setting."""
        address = str(request.base_url).rstrip("/").removesuffix("/admin")
        secret = self._box.till.webhook_secret
        return answer({"settings": settings(self._box, address), "revel_webhook_secret": secret})

    async def revoke(self, _request: Request) -> Response:
        """Let no access token hold any longer."""
        self._box.oauth.revoke_all()
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """Start over; `{"events": false}` with an empty calendar."""
        given = await read_object(request)
        await self._box.reset(events=bool(given.get("events", True)))
        return answer({"events": len(list(self._box.desk.events)), "orders": 0})


def local(handler: Handler) -> Handler:
    """Return the handler for requests of this machine: by its address, and under a name that means this machine."""

    async def handle(request: Request) -> Response:
        # a page of the web that resolves its own name to 127.0.0.1 sends that name as Host
        if not (_is_loopback(request.client.host if request.client else "") and _is_loopback(_host(request))):
            return answer({"error": "the admin API answers this machine only"}, 403)
        try:
            return await handler(request)
        except NotJsonError as error:
            return answer({"error": f"the body is no JSON object: {error}"}, 400)
        except ValidationError as error:
            return answer({"error": [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]}, 422)

    return handle


def _host(request: Request) -> str:
    return request.url.hostname or ""


def _is_loopback(text: str) -> bool:
    if text.lower() == "localhost":
        return True
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _missing(what: str) -> Response:
    return answer({"error": f"no such {what}"}, 404)
