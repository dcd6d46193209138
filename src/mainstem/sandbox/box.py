"""All that the sandbox is at a moment, and how it starts over."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Final

from mainstem.platform.addresses import Network
from mainstem.platform.clock import utc_now
from mainstem.sandbox.calls import Calls
from mainstem.sandbox.config import Config
from mainstem.sandbox.faults import Faults
from mainstem.sandbox.openai import Brain
from mainstem.sandbox.revel.till import Till
from mainstem.sandbox.sending import Sender
from mainstem.sandbox.tripleseat.desk import Desk, EventDraft
from mainstem.sandbox.tripleseat.endpoints import TRIGGERS, EndpointFields
from mainstem.sandbox.tripleseat.oauth import OAuth
from mainstem.sandbox.venues import SITES

_DAYS: Final = (-9, -3, -1, 0, 0, 1, 2, 6, 15, 40)
_STATUSES: Final = ("DEFINITE", "DEFINITE", "DEFINITE", "CLOSED", "TENTATIVE", "PROSPECT", "LOST", "WAITLIST")


class Sandbox:
    """Both services. The credentials are those of the seed and outlive a reset, as does the target of webhooks."""

    def __init__(self, seed: int = 1, *, target: str | None = None, allow: Iterable[Network] = ()) -> None:
        """Book the seed's events. `target` gets webhooks of the first site; `allow` are networks that it may be in."""
        self.seed = seed
        self._allow = tuple(allow)
        self.target = target
        self.target_sites: tuple[int, ...] = (SITES[0].site_id,)
        self.oauth = OAuth(seed)
        self._start()

    def _start(self, *, events: bool = True) -> None:
        self.config = Config()
        self.faults = Faults(self.seed)
        self.calls = Calls()
        self.sender = Sender(lambda: self.config, self.faults, self._allow)
        self.desk = Desk(self.seed, self.config, self.sender, self.oauth)
        self.till = Till(self.seed, self.config, self.sender)
        self.brain = Brain(self.seed)
        if events:
            self._book()
        self._aim()

    async def reset(self, *, events: bool = True) -> None:
        """Start over; without `events` nothing is booked."""
        await self.sender.close()
        self._start(events=events)

    async def close(self) -> None:
        """Stop sending."""
        await self.sender.close()

    def aim(self, url: str | None, site_ids: Sequence[int]) -> None:
        """Have the webhooks of some sites sent to an address, and to no other; None: to none."""
        self.target, self.target_sites = url, tuple(site_ids)
        self._aim()

    def _aim(self) -> None:
        self.desk.endpoints.clear()
        if self.target is not None:
            fields = EndpointFields(
                target_url=self.target, include_event_financials=True, trigger_actions=sorted(TRIGGERS)
            )
            for site_id in self.target_sites:
                self.desk.endpoints.add(site_id, fields, utc_now())

    def _book(self) -> None:
        """Book what a group of restaurants has in its calendar: past, today and to come, in every status."""
        dice = Random(self.seed)  # noqa: S311 - repeatable on purpose
        for site in SITES:
            today = utc_now().astimezone(site.zone).date()
            for days in _DAYS:
                draft = EventDraft(
                    site_id=site.site_id,
                    date=today + timedelta(days=days),
                    status=dice.choice(_STATUSES),
                    guest_count=dice.randrange(12, 110),
                    triggers=[],
                )
                event, _ = self.desk.create(draft)
                # booked weeks ahead, changed a few days ago: a search for what changed today finds none of them
                event.updated_at = min(event.starts_at, utc_now()) - timedelta(days=dice.randrange(2, 9))
                event.created_at = event.updated_at - timedelta(days=dice.randrange(3, 60))
                event.changes[0].at = event.created_at
