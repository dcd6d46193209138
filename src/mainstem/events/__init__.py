"""The spine: what an event is, how it gets in, and how it is kept until it is loaded.

The public door of the writing side. `record()` (an event in the transaction of a change) is in
`mainstem.events.record`, the upkeep of the landing in `mainstem.events.retention`.
"""

from mainstem.events.group import Receipt
from mainstem.events.intake import Intake, IntakeState
from mainstem.events.log import Log, PostgresLog
from mainstem.events.model import EventFlag, NewEvent, RawEvent, Reject
from mainstem.events.signals import LOADED_CHANNEL, RAW_CHANNEL, Listener, Notifier
from mainstem.events.spool import Spool

__all__ = [
    "LOADED_CHANNEL",
    "RAW_CHANNEL",
    "EventFlag",
    "Intake",
    "IntakeState",
    "Listener",
    "Log",
    "NewEvent",
    "Notifier",
    "PostgresLog",
    "RawEvent",
    "Receipt",
    "Reject",
    "Spool",
]
