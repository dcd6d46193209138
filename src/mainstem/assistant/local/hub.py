"""What the hub knows besides tasks: alerts and webhooks here, links, customers and bookings beside. Pure."""

import re
from typing import Final

from mainstem.assistant.local.bookings import explaining, reconciling
from mainstem.assistant.local.candidates import OTHER_CHANGES, Candidate, labelled
from mainstem.assistant.local.customers import journey
from mainstem.assistant.local.frames import COMMANDING
from mainstem.assistant.local.links import clicks, links
from mainstem.assistant.local.said import Said
from mainstem.assistant.local.slots import number
from mainstem.assistant.local.terms import Act, Ask, Context, Option, Reading

_HOOKS: Final = re.compile(r"\b(?:web ?hooks?|hooks?|endpoints?|deliver(?:y|ies))\b", re.IGNORECASE)
_SICK: Final = re.compile(
    r"\b(?:fail(?:ing|ed|s|ures?)?|broken|down|problems?|issues?|error(?:s|ing|ed)?|tim(?:ing|ed) out|reject\w*|(?:go|going|get|getting) (?:out|through)|red|unhealthy|healthy|health|degraded|disabled|sick|dead|wrong|trouble|working|work|ok|okay|stuck|bounc\w+|given up|status|state|undelivered|fine)\b",
    re.IGNORECASE,
)
_RESEND: Final = re.compile(
    r"\b(?:(?:have|give) (?:it |delivery .{1,12}? )?another (?:go|try|shot)|re-?send|re-?try|re-?deliver|re-?play|re-?queue|send|deliver|try)\b",
    re.IGNORECASE,
)
_DELIVERY: Final = re.compile(
    r"\bdeliver(?:y|ies) ?(?:with )?(?:the )?(?:number|no\.?|id)? ?#?(\d{1,18})\b|#(\d{1,18})\b", re.IGNORECASE
)
_ALERTS: Final = re.compile(
    r"\balerts?\b|\balarms\b|\bincidents?\b|\b(?:anything|something|what's|what is) (?:is )?(?:wrong|broken|on fire|burning|alarming|firing)\b|\b(?:system|everything) (?:healthy|ok|okay|all right|alright|up|fine)\b",
    re.IGNORECASE,
)
_ALERT_STATES: Final = {
    "firing": "firing", "active": "firing", "burning": "firing", "ringing": "firing", "going off": "firing", "acknowledged": "acknowledged", "acked": "acknowledged",
    "resolved": "resolved", "closed": "resolved", "over": "resolved", "open": "open", "current": "open", "unresolved": "open", "unacknowledged": "firing",
}  # fmt: skip
_ONLY_ALERT: Final = re.compile(r"(?:show (?:me )?)?(?:the )?alert (?:number |no\.? ?)?#?([1-9]\d{0,8})", re.IGNORECASE)
_NO_ALERTS: Final = re.compile(
    r"(?:how (?:do|can|to)|why|who|e-?mail|mail|write|send|tell|call|print|order|book|text|message|draft|prepare|post|forward|translate|summari[sz]e)\b(?! me\b)",
    re.IGNORECASE,
)
_ACK: Final = re.compile(r"\back(?:nowledge)?\b", re.IGNORECASE)
_ALERT_ID: Final = re.compile(
    r"\balert ?(?:with )?(?:the )?(?:number|no\.?|id)? ?#?(\d{1,10})\b|#(\d{1,10})\b|^ack(?:nowledge)? (\d{1,10})\b(?! (?:tasks?|alerts))",
    re.IGNORECASE,
)
_REASON: Final = re.compile(
    r"(?:,? (?:because|since|as|for the reason(?: that)?|with (?:the )?(?:reason|note)(?: that)?|due to|noting(?: that)?|saying(?: that)?)|,? ?reason:|,? ?notes?:|:| -) ?(?P<reason>.+?)(?=,? (?:and )?then |$)",
    re.IGNORECASE,
)


def hub(said: Said, context: Context) -> Candidate | Reading | None:
    """Return what `said` asks of the hub, apart from tasks."""
    changed = _acknowledge(said, context) or _resend(said, context) or explaining(said) or reconciling(said)
    if changed is not None or OTHER_CHANGES.match(said.words):
        return changed
    return _webhooks(said) or _alerts(said) or journey(said) or clicks(said) or links(said)


def _shown(context: Context, kind: str, words: str) -> int | None:
    """Return the number of the one thing of a kind that was shown, when the words say "it"."""
    shown = [thing for thing in context.mentioned if thing.kind == kind]
    meant = re.search(r"\b(?:it|this|that|this one|that one)\b", words, re.IGNORECASE)
    return number(shown[0].id) if len(shown) == 1 and meant else None


def _acknowledge(said: Said, context: Context) -> Candidate | Reading | None:
    verb = _ACK.search(said.words)
    if (
        verb is None
        or COMMANDING.match(said.words[: verb.start()])
        or re.match(r"(?:show|list|what|which|any|how|who|when|is|are|find)\b", said.words, re.IGNORECASE)
    ):
        return None
    found = _ALERT_ID.search(said.words)
    alert = number(found[1] or found[2] or found[3]) if found else _shown(context, "alert", said.words)
    if alert is None:
        return Ask(
            "Which alert? Say its number.", (Option("Show open alerts", Act("list_alerts", {"state": "open"}, 0.9)),)
        )
    arguments: dict[str, object] = {"alert_id": alert}
    head = said.words
    after = max(verb.end(), found.end() if found else 0)
    if reason := _REASON.search(said.words, after):
        arguments["reason"] = said.plain(reason["reason"])[:500]
        head = said.words[: reason.start()]
    return Candidate(Act("acknowledge_alert", arguments, 0.95), head)


def _resend(said: Said, context: Context) -> Candidate | Reading | None:
    words = said.words
    if not _RESEND.match(words) or not re.search(r"\b(?:deliver(?:y|ies)|webhook)\b", words, re.IGNORECASE):
        shown = (
            _shown(context, "delivery", words)
            if re.match(r"(?:re-?send|re-?try|re-?deliver|re-?play)\b", words, re.IGNORECASE)
            else None
        )
        return Candidate(Act("resend_delivery", {"delivery_id": shown}, 0.9), words) if shown else None
    found = _DELIVERY.search(words)
    value = int(found[1] or found[2]) if found else _shown(context, "delivery", words)
    if not value or value >= 2**63:
        return Ask(
            "Which delivery? Say its number.", (Option("Show failing webhooks", Act("failing_webhooks", {}, 0.9)),)
        )
    return Candidate(Act("resend_delivery", {"delivery_id": value}, 0.95), words)


def _webhooks(said: Said) -> Act | None:
    words = said.words
    if not _HOOKS.search(words) or not _SICK.search(words) or (_DELIVERY.search(words) and _RESEND.search(words)):
        return None
    return Act("failing_webhooks", {}, 0.95)


def _alerts(said: Said) -> Act | Ask | None:
    words = said.words
    if not _ALERTS.search(words) or _NO_ALERTS.match(words):
        return None
    states = [state for word, state in _ALERT_STATES.items() if re.search(rf"\b{word}\b", words, re.IGNORECASE)]
    if only := _ONLY_ALERT.fullmatch(words.rstrip("?!. ")):
        acts = (Act("acknowledge_alert", {"alert_id": int(only[1])}, 0.5), Act("list_alerts", {}, 0.5))
        return Ask(f"What about alert {only[1]}?", tuple(Option(labelled(act), act) for act in acts))
    named = re.search(r"\balerts?\b|\b(?:what's|what is) (?:firing|on fire|burning)\b", words, re.IGNORECASE)
    return Act("list_alerts", {"state": states[0]} if states and named else {}, 0.93)
