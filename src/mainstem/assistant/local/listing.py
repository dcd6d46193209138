"""Showing tasks: which of them, by status, date, priority, label and words. Pure."""

import re
from datetime import date, timedelta
from typing import Final

from mainstem.assistant.local.said import Said
from mainstem.assistant.local.slots import PRIORITY, REFERENCE, dated, priority
from mainstem.assistant.local.terms import Act, Context

_TASKS: Final = r"(?:tasks?|to-?dos?|to do list|(?:to-?do |task |todo )?list|todo items|items|reminders|agenda|plate|assignments|chores|errands|jobs)"
_SHOWING: Final = re.compile(
    r"(?:show|list|display|see|view|give|tell|what|what's|whats|which|find|search|look|how many|how much|do i|do we|have i|have we|did i|is there|are there|are (?:any|all|my|our|some)|is (?:any|all|some)|any|anything|let me see|let's see|get(?! rid\b)|fetch|print|read|check(?! off\b)|open|pull up|bring up|dig up|dig out|where|have a look|overview|an overview|a list|the list|count|sort|order|rank|arrange|summari[sz]e|review|go through)\b",
    re.IGNORECASE,
)
_NOUN: Final = re.compile(rf"\b{_TASKS}\b", re.IGNORECASE)
_PLURAL: Final = re.compile(
    rf"(?:(?:my|all|all my|the|open|pending|completed|finished|done|unfinished|incomplete|remaining|outstanding|overdue|current|active|today's|tomorrow's|{PRIORITY}(?:[- ]priority)?),? )*(?:tasks|to-?dos|todos|reminders|(?:to-?do |task |todo )list)\b(?:$|,? (?:for|due|that|which|with|about|of|in|on|by|from|labell?ed|tagged|today|tomorrow|this|next|overdue|are|i|left|to do|done|completed|so far|regarding|containing|mentioning|#).*)",
    re.IGNORECASE,
)
_WITHOUT_NOUN: Final = re.compile(
    r"(?:what's|what is|whats|what are|what)(?: is| are)?(?: still| currently| all| now)? (?:pending|open|left|outstanding|overdue|late|remaining|unfinished|due|done|completed|finished|next|up|incomplete|planned|on)\b(?! (?:with|in|the|for dinner)).*"
    r"|(?:what's|what is|whats) (?:still )?(?:pending|open|left|due|next|on my (?:plate|list|agenda|schedule)|up)(?: .*)?"
    r"|what (?:have|did|do|should|must|can|else|all)(?: else)? (?:i|we)(?: still| already| just)? ?(?:have|need|completed?|finish(?:ed)?|done|do|get done|got done|accomplish(?:ed)?|got|to|planned)\b.*"
    r"|what (?:has|have) been (?:completed|done|finished).*|(?:is |are )?(?:there )?(?:anything|something|any) (?:is )?(?:overdue|due|pending|left|open|late)\b.*|what is (?:still )?(?:to do|to be done).*"
    r"|(?:show|list|display|give|tell|let|see)(?: me)?(?: see)?(?: what| what's| what is| everything| all| all that| whatever)?(?: i| that| is| are| have| still| was)* (?:pending|open|overdue|completed|finished|left|outstanding|done|unfinished|due)\b.*"
    r"|(?:show|list|display|give|tell|let|see|find)(?: me)?(?: see)? (?:everything|all|what|whatever|anything)(?: that)?(?: else)? (?:i|we)(?:'ve| have)?(?: still| already| just)? ?(?:have|need|must|should|got|did|finish(?:ed)?|completed?|done|do|want)\b.*"
    r"|(?:is there )?(?:anything|something)(?: else)? (?:that )?(?:i|we)(?:'ve| have)? ?(?:still )?(?:need|have|must|should|got|to)\b.*"
    r"|(?:do|have) (?:i|we) (?:have|got) (?:anything|something|any|much|a lot)(?: else)?(?: that's| that is)? ?(?:urgent|important|critical|high priority|low priority|due|overdue|pending|left|open|planned|to do|to finish|for|on)\b.*"
    r"|(?:show|list|display|see|view|what about|and|how about|only)(?: me)?(?: all| just| only| the| my| everything)*(?: (?:pending|open|overdue|completed|finished|done|unfinished|remaining|urgent|important|high priority|low priority|due))?(?: ones| stuff| things)?"
    r"|which (?:ones|one|of them|of these)? ?(?:is|are|have|has)(?: still| not| been| yet)* (?:pending|open|left|overdue|late|due|done|completed|finished|unfinished|urgent)\b.*"
    r"|(?:(?:show|list|tell|give|let)(?: me)?(?: see)? )?what (?:needs|has|remains|is left) to be done\b.*|(?:show|list|display|find|give me) (?:me )?(?:everything|all|anything|things|stuff)(?: that is| that's)? (?:labell?ed|tagged|with|under|about)\b.*"
    r"|(?:how|what) (?:does|do|will|would) (?:my )?(?:today|tomorrow|monday|tuesday|wednesday|thursday|friday|saturday|sunday|(?:this|next) week(?:end)?|day|week|(?:to-?do |task )?list|schedule|agenda|plate)\b.* look(?: like)?\b.*|(?:how|what) (?:does|do) (?:my )?.{0,30}\b(?:list|day|week|schedule|agenda|tasks|to-?dos)\b look(?: like)?\b.*"
    r"|(?:what's|what is|whats) (?:the|my|our) (?:plan|agenda|schedule)(?: like)?\b.*|(?:anything|everything|all|things|stuff)(?: else)? (?:that |which )?(?:still |also )?(?:is |are |'s |has |have |needs? |must )(?:to |still )*(?:happen|be done|get done|due|open|pending|left|overdue|late|outstanding)\b.*"
    r"|(?:(?:show|give|list|tell|get|find|pull up|bring up|see|view)(?: me)? )?(?:everything|anything|all|things|stuff)(?: that's| that is| that are| which is| which are|'s)? (?:still )?(?:due|open|pending|left|overdue|late|outstanding|labell?ed|tagged|with the (?:label|tag))\b.*"
    r"|what (?:i|we)(?:'ve| have)? ?(?:still |already |also )?(?:have|need|must|should|got|to|finished|completed|done)\b.*"
    r"|(?:am i|are we) (?:overdue|late|behind)\b.*|how (?:much|many)(?: things| stuff)? (?:is|are|do i have|do we have|have i got|have we got|did i|has been|have i|have we)\b.*\b(?:left|to do|to get done|pending|open|overdue|remaining|due|get done|done|finish(?:ed)?|complete(?:d)?)\b.*"
    r"|(?:overdue|pending|completed|finished|unfinished)[?.!]*|have i (?:done|finished|completed) (?:anything|everything)\b.*|what (?:am i|are we) (?:(?:supposed|meant|going) to (?:do|be doing|get done|finish)|doing)\b.*|what's (?:for )?(?:today|tomorrow)\b.*",
    re.IGNORECASE,
)
_PENDING: Final = re.compile(
    r"\b(?:pending|open|outstanding|unfinished|incomplete|uncompleted|undone|remaining|left|still|active|overdue|late|not (?:yet )?(?:done|completed?|finished)|(?:have|need|got|supposed) to do|to be done|to-do's|todo next|do next|next up|(?:should|must) (?:i|we) (?:do|work)|haven't|hasn't|aren't|isn't|not been|due|left to|yet)\b"
    r"|what's next|on my (?:plate|agenda|schedule)|do i have to\b|what (?:should|must|can) (?:i|we)",
    re.IGNORECASE,
)
_COMPLETED: Final = re.compile(
    r"\b(?:completed?|finish(?:ed)?|done|closed|accomplish(?:ed)?|checked off|ticked off)\b|\bi did\b", re.IGNORECASE
)
_UNDONE: Final = re.compile(
    r"\b(?:not|n't|never|un|to be|to get|haven't|isn't|aren't|incomplete)\b(?:\W+\w+){0,2}?\W+(?:completed?|finished|done|closed)\b|\bto (?:complete|finish|be done)\b",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"(?:labell?ed|tagged|(?:with|under|for|have|having|has) (?:the )?(?:label|tag|category))(?: as| with)?:? [#'\"]?([\w-]{1,50})|\blabel(?::| is)? [#'\"]?([\w-]{1,50})|#([^\W\d][\w-]{0,49})",
    re.IGNORECASE,
)
_PRIORITY: Final = re.compile(rf"\b{PRIORITY}\b", re.IGNORECASE)
_SEARCH: Final = re.compile(
    r"\b(?:about|regarding|mentioning|that mention|which mention|mention|containing|that contain|which contain|contain|concerning|related to|matching|that match|called|named|titled|with the words?|involving|having to do with|with|on|like) (?P<words>[^?]+)$"
    r"|\b(?:search|look|find)\b.{0,40}?\bfor (?P<wanted>[^?]+)$"
    r"|^(?:search|find|look up|look for) (?P<within>.+?) (?:in|among|on|within) (?:all )?(?:my|the|our) (?:tasks|todos|to-?dos|(?:to-?do |task )?list)$"
    r"|\b(?:task|to-?do|reminder)s? for (?P<purpose>[^?]+)$|\bfor (?P<occasion>(?:the|our) (?!rest\b|moment\b|time\b|next\b|coming\b|week|day\b|month\b|year\b|morning\b|evening\b|afternoon\b|future\b|weekend\b)[^?]+)$",
    re.IGNORECASE,
)
_WANTED_NOUN: Final = re.compile(
    rf"(?:(?:all|any|my|the|a|open|pending|completed) )*{_TASKS} ?(?:about|for|with|on|regarding|containing|mentioning|that mention|called|named)? ?",
    re.IGNORECASE,
)
_PERIODS: Final = re.compile(
    r"\b(?P<which>this|next|the coming|coming|the next|the)? ?(?:(?P<many>\d{1,3}) )?(?P<unit>week|month|days|weeks)\b",
    re.IGNORECASE,
)
_SAYING: Final = (_NOUN, _PENDING, _COMPLETED, _LABEL, _PRIORITY, _PERIODS)
_SORTED: Final = re.compile(
    r"\bby (?:the |their )?(priority|importance|urgency|due date|deadline|date|due)$", re.IGNORECASE
)
_HUB: Final = re.compile(
    r"\b(?:alerts?|web ?hooks?|endpoints?|links?|bookings?|orders?|deliver(?:y|ies)|customers?|events?)\b",
    re.IGNORECASE,
)
_PURPOSE: Final = re.compile(
    r",? (?:so (?:that )?(?:i|we)|so as to|in order to|because|before (?:i|we)|while (?:i|we)) .+$|(?:[?.!]|,) (?:i'm|i am|we're|we are|it's|it is|there's|i|we|my|the) .+$",
    re.IGNORECASE,
)
"""What a list is wanted for."""
_TASK_NOUN: Final = re.compile(
    r"\b(?:tasks?|to-?dos?|todo|to do|items|reminders|(?:my|our) list|chores|errands|jobs|assignments)\b", re.IGNORECASE
)
_LIST_OF: Final = re.compile(
    r"\blist of (?:all |any |every )*(?:the |our |my |open |current |active |tracked |failing )*(?:alerts?|web ?hooks?|endpoints?|links?|bookings?|orders?|deliver(?:y|ies)|customers?|events?)\b",
    re.IGNORECASE,
)
_NOT_LISTS: Final = re.compile(
    r"(?:what (?:happens|happened|would|does(?!.* look like\b)|do you|did you|if|makes)|which (?:way|of us)|how (?:do|can|to|does|did))\b",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(rf"\b{REFERENCE}\b", re.IGNORECASE)
_OTHERS: Final = re.compile(
    r"\b(?:of|for|from|by) (?:all |every |each |the )?(?:other |another |user|users|somebody|someone|everyone|everybody|tenant)\b|\b(?:other|another) (?:users?|people|person|tenant)",
    re.IGNORECASE,
)


def listing(said: Said, context: Context) -> Act | None:
    """Return the list of tasks that `said` asks for."""
    words = re.sub(r" (?:please|pls)$", "", _PURPOSE.sub("", said.words.rstrip("?!. ")), flags=re.IGNORECASE)
    words = _by_the_way(words, context)
    # the verb "list" is no list
    named = _PLURAL.fullmatch(words) or (_SHOWING.match(words) and _NOUN.search(words, len(words.split(" ", 1)[0])))
    if not named and (_HUB.search(_LABEL.sub("", words)) or not _WITHOUT_NOUN.fullmatch(words)):
        return None
    if named and _HUB.search(_LABEL.sub("", words)) and not _TASK_NOUN.search(words):
        return None
    if _LIST_OF.search(words) or _OTHERS.search(words) or _NOT_LISTS.match(words) or _REFERENCE.search(words):
        return None
    arguments: dict[str, object] = {"status": "all"}
    rest = words
    if label := _LABEL.search(rest):
        arguments["label"] = label[1] or label[2] or label[3]
        rest = rest[: label.start()] + rest[label.end() :]
    if search := _searched(said, rest, context):
        arguments["search"], rest = search
    if wanted := _PRIORITY.search(rest):
        arguments["priority"] = priority(wanted[1])
        rest = rest[: wanted.start()] + rest[wanted.end() :]
    # "done today" is about when it was done, which no list knows
    did = _COMPLETED.search(rest) and not _UNDONE.search(rest) and not _PENDING.search(rest)
    if not did and (span := _due(said.plain(rest), context)):
        arguments["due"] = span
    if (order_by := _SORTED.search(rest)) and "search" not in arguments:
        arguments["sort"] = "priority" if order_by[1].lower() in {"priority", "importance", "urgency"} else "due"
        rest = rest[: order_by.start()] + rest[order_by.end() :]
    arguments["status"] = _status(rest, due="due" in arguments)
    order = ("status", "due", "priority", "label", "search", "sort")
    return Act("list_tasks", {key: arguments[key] for key in order if key in arguments}, 0.95)


def _by_the_way(words: str, context: Context) -> str:
    """Return what is asked for without a remark behind it that says nothing of which tasks."""
    asked, comma, remark = words.partition(", ")
    if not comma or dated(remark, context) or any(known.search(remark) for known in _SAYING):
        return words
    return asked


def _status(words: str, *, due: bool) -> str:
    if _UNDONE.search(words):
        return "pending"
    completed = _COMPLETED.search(words)
    if _PENDING.search(words) and not (completed and re.search(r"\b(?:so far|already)\b", words, re.IGNORECASE)):
        return "pending"
    return "completed" if completed else "pending" if due else "all"


def _searched(said: Said, words: str, context: Context) -> tuple[str, str] | None:
    """Return the words to look for, and the sentence without them."""
    found = _SEARCH.search(words)
    if found is None:
        return None
    wanted = (
        found["words"]
        or found["within"]
        or found["purpose"]
        or found["occasion"]
        or _WANTED_NOUN.sub("", found["wanted"], count=1)
    )
    text = re.sub(r"^(?:the|my|a|an|word|words)\s+", "", said.plain(wanted), flags=re.IGNORECASE).strip(" .!'\"")
    text = re.sub(r" in (?:them|it|the title|the name)$", "", text, flags=re.IGNORECASE)
    before = words[: found.start()]
    if not text or re.fullmatch(
        r"(?:my |the |our )?(?:(?:to-?do |todo |task )?list|plate|agenda|schedule|today|it|me|them|anything|everything|something|priority|labels?|tags?).*|.* (?:ones|stuff|things)",
        text,
        re.IGNORECASE,
    ):
        return None
    at = dated(f"on {text}", context)
    if at and at.end >= len(f"on {text}"):
        return None
    if at and not found["wanted"] and at.start > 3:
        return text[: at.start - 3].strip(), f"{before} {text[at.start - 3 :]}"
    return re.sub(r" (?:to-?do |task )?list$", "", text, flags=re.IGNORECASE), before


def _due(words: str, context: Context) -> str | None:
    """Return the day or the days that are asked for, or `overdue`."""
    if re.search(r"\b(?:overdue|past due|late|missed)\b", words, re.IGNORECASE):
        return "overdue"
    today = context.now.astimezone(context.zone).date()
    if re.search(r"\btoday (?:and|or|through|until|&) tomorrow\b", words, re.IGNORECASE):
        return f"{today}/{today + timedelta(days=1)}"
    if period := _PERIODS.search(words):
        return _period(period, today)
    if re.search(r"\b(?:right|just) now\b", words, re.IGNORECASE):
        return None
    found = dated(words, context)
    if found is None or found.due is None or found.recurrence:
        return None
    on = found.due.date().isoformat()
    before = re.match(r"(?:by|before|until|till)\b", found.words, re.IGNORECASE)
    return f"{today.isoformat()}/{on}" if before and on > today.isoformat() else on


def _period(found: re.Match[str], today: date) -> str | None:
    which, unit, many = (found["which"] or "").lower(), found["unit"].lower(), int(found["many"] or 1)
    if unit in {"days", "weeks"}:
        days = min(many * (7 if unit == "weeks" else 1), 366)
        return (
            f"{today}/{today + timedelta(days=days)}" if which in {"next", "the next", "coming", "the coming"} else None
        )
    if not which:
        return None
    monday = today - timedelta(days=today.weekday())
    if unit == "week":
        start = monday + timedelta(days=7) if which == "next" else today
        end = start + timedelta(days=6 - start.weekday())
        return f"{start}/{end}"
    first = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    start = first if which == "next" else today
    end = (start.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return f"{start}/{end}"
