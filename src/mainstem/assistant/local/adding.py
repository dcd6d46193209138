"""Adding tasks: the words that ask for it stand at the beginning, and what follows is a title, whatever it says. Pure."""

import re
from dataclasses import dataclass, replace
from typing import Final

from mainstem.assistant.local.guards import confirmed
from mainstem.assistant.local.said import MARK, Said
from mainstem.assistant.local.slots import NUMBER, PRIORITY, TASK, as_labels, dated, draft, priority
from mainstem.assistant.local.terms import Act, Ask, Context, Reading

_NOUN: Final = r"(?:note to self|task|to-?do|to do|reminder|todo item|item|entry|action item|note)"
_EXPLICIT: Final = re.compile(
    rf"(?:add(?: in)?|create|make|insert|record|log|register|enter|open|start|set(?: up)?|put(?: in| down)?|pop(?: in)?|book(?: in)?|write(?: down)?|jot down|note(?: down)?|schedule|file|give me|i need|i want|i have)"
    rf" (?:me )?(?P<article>a |an |another |the |one |one more |(?:\d\d?|two|three|four|five|six|some|several|a few|a couple of|multiple) |this |these |my )?(?:following )?(?:new )?(?:(?P<priority>{PRIORITY})(?:[- ]prio(?:rity)?)?,? )?(?:new )?(?:recurring |repeating |quick |small |little )?(?:(?P<often>daily|weekly|monthly|yearly|quarterly) )?"
    rf"(?P<noun>{_NOUN}(?P<many>s)?)(?! lists?\b)(?! (?:number |no\. ?)?#?{NUMBER}\b)(?: (?:to|on|in|for) (?:my|the) (?:to-?do |todo |task )?list)?(?:,? (?:labell?ed|tagged)(?: as| with)? #?(?P<label>[\w-]{{1,50}})(?! (?:as|with)\b))?(?:,? (?:with )?(?P<urgency>{PRIORITY})(?:[- ]prio(?:rity)?)?(?=:))?(?=$|[\s:,-])(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_HEADED: Final = re.compile(
    rf"(?:/(?:add|task|todo)\b|\+|(?:(?:a |another )?new )?(?:(?P<priority>{PRIORITY})(?:[- ]prio(?:rity)?)? )?(?:task|to-?do|reminder|note to self|note|memo|todo item)(?: for (?:me|us|today))?(?:,? (?:with )?(?P<urgency>{PRIORITY})(?:[- ]prio(?:rity)?)?)?\s*:|(?:a |another |one more )?new (?:task|to-?do|reminder|todo item)(?:,? please)?(?:,? for me)?\s*[:-]|new (?:task|to-?do|reminder)\b:?|todo (?!list)|add:|new:|(?:(?:a |another |one more )?(?:quick |friendly |little )?reminder (?=to\b|about\b|that\b|for\b))) ?(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_LEADS: Final = re.compile(
    r"(?:(?:remind|ping|nudge|prompt|poke|chase|prod|notify) (?:me|us)(?: again)?(?: please)?[,:]? ?(?:about |of |that (?:i|we) (?:have|need) to |that )?"
    r"|(?:do not|don't|dont|never)(?: let (?:me|us))? forget(?: to| about|:| that)? "
    r"|(?:i'd|i had|we'd|you'd)? ?better(?: not forget(?: to)?)? "
    r"|(?:track|save|log|record|capture|note|file|write|add|put|jot|pop|get) (?:this|that|it)(?: down)?(?: for me)?(?: please)?(?: down| (?:to|on|in) (?:my|the) (?:to-?do |todo |task )?list)?: ?"
    r"|(?:add|put|write)(?: the following)? (?:to|on|in) (?:my|the|our) (?:to-?do |todo |task )?(?:list|tasks|todos)[:,]? (?:that |to )?"
    r"|(?:i|we|you) (?:really |also |still )?(?:must|should|can|may)(?: not|n't) forget(?: to| about)? "
    r"|(?:i|we)(?:'ll| will)? (?:really |also |still |just )?(?:need to|needs to|have to|must|should|ought to|gotta|got to|'ve got to|have got to|need)(?: to)? (?:really |also |just |definitely )?(?:remember(?: to)? |be reminded (?:to|of) )?"
    r"|(?:i've|we've) got to |gotta |(?:got|need|have) to |remember(?: to| that|:)? |jot(?: (?:this|that|it))? down(?: for me)?[:,]? (?:that |this: )?|note(?: down| to self)?[:,] |note (?:down )?(?:that |to )|write down[:,]? (?:that )?"
    r"|(?:make|take) a note(?: to| of| that| about|:)? |(?:make|be) sure (?:i|we|to|that i|that we) (?:remember to |don't forget to )?|keep in mind (?:to |that )?"
    r"|(?:i|we)(?:'d like| want| need) (?:a )?reminders? (?:to|about|for|of) |wake me )(?P<rest>.+)",
    re.IGNORECASE | re.DOTALL,
)
_ONTO: Final = re.compile(
    r"(?:add|put|place|stick|throw|get|write|include|note|drop|pop|bung|chuck|jot|slot|enter) (?P<rest>.+? (?:to|on|onto|in|into) (?:my|the|our) (?:to-?do |todo |to do |task )?(?:list|tasks|todos|to-?dos)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_SCHEDULE: Final = re.compile(
    r"(?:schedule|plan|book in|pencil in) (?P<rest>(?!(?:it|this|that|the [^\n]* task|task)\b).+)",
    re.IGNORECASE | re.DOTALL,
)
_BARE: Final = re.compile(r"add (?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_NOT_TASKS: Final = re.compile(
    rf"(?:anything|nothing|something|it|that|this|them|(?:a |an |the |new )*(?:tracked )?(?:link|webhook|endpoint|alert|rule|customer|user|booking|connector|key|tenant|label|tag|note|comment|description|due date|deadline|priority)\b.*|.+ to (?:the )?(?:{TASK} ?#?{NUMBER}|#\d+|it))",
    re.IGNORECASE | re.DOTALL,
)
_NAMING: Final = re.compile(
    r"[\s:,-]*(?:(?:down|please|pls|for (?:me|us)(?! to\b))(?=[\s:,])[\s:,]*)*(?:(?:called|named|titled|entitled|labell?ed as|saying|that says|which says|with (?:the )?(?:title|name)|about|regarding|of|for me to|for|to|that i (?:have|need) to|that|:)(?=[\s:]|$)[\s:]*)?",
    re.IGNORECASE,
)
_AND_THEN: Final = re.compile(
    rf"(?:,? and(?: then| also)?|,? then|;|\.) (?:please )?(?P<more>(?:delete|remove|complete|finish|close|mark|cancel|rename|update|erase) (?:the )?(?:{TASK} ?#?{NUMBER}\b|#\d+|it\b|all\b|every).*|(?:show|list|display)(?: me)? (?:all )?(?:my |the )?(?:tasks|list|todos).*)$",
    re.IGNORECASE,
)
_NOTED: Final = re.compile(
    rf"s? (?:to|on|for|in) (?:(?:the |my )?(?:{TASK} ?(?:number )?#?|#){NUMBER}\b|it\b|that\b|the [^:\n]+ {TASK}\b|{MARK})",
    re.IGNORECASE,
)
_LISTED: Final = re.compile(r"(?:open|i have|log|record|start|file) ", re.IGNORECASE)
"""Before tasks they show them: `open tasks`, `I have tasks`."""
_WONDERING: Final = re.compile(
    r"(?:to )?(?:know|see|find out|look at|check (?:(?:my|the|all|on|our) )*(?:tasks?|list|to-?dos?|alerts?|links?|webhooks?|bookings?)|help|you|a hand)\b",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(
    r"(?:delete|remove|complete|finish|close|mark|cancel|rename|update|change|move|reschedule|acknowledge|resend) (?:the )?"
    rf"(?:{TASK} ?#?{NUMBER}\b|#\d+|alert|delivery)",
    re.IGNORECASE,
)
_TASK_IT_IS: Final = re.compile(rf"(?:the )?(?:{TASK} ?#?{NUMBER}|#\d+)\b", re.IGNORECASE)
_DUTY: Final = re.compile(r"^(?:that )?(?:i|we) (?:have to|need to|must|should|gotta|ought to) ", re.IGNORECASE)
_FORGETTING: Final = re.compile(
    r"forget|remind|ping|nudge|prompt|poke|chase|prod|notify|remember|note|mind|jot|write", re.IGNORECASE
)
_DATED: Final = re.compile(
    r"(?:task|to-?do|reminder)? ?(?P<when>(?:[^:\n]|(?<=\d):(?=\d)){2,45}?)(?::(?!\d) ?|,? (?:called|named|titled) )(?P<title>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
"""A date between the word for a task and its title."""
_THESE: Final = re.compile(
    r"(?:add|put|create|note)(?: down)? (?:these|all of these|the following)(?: things| items| tasks)?(?: (?:to|on) my list)?:\s*(?=\S)",
    re.IGNORECASE,
)
_URGED: Final = re.compile(
    r"(?:(?:very|super|this is|it's) )*(?:urgent|important|asap|critical)(?: please)?(?:\s*[:!,-]+ ?| (?=add\b|create\b|remind\b|new\b|put\b))",
    re.IGNORECASE,
)
MARK_IN: Final = re.compile(MARK)
_DOUBTFUL: Final = re.compile(
    rf"^(?:{PRIORITY}|prio(?:rity)?|please|thanks|it|this|that|me|\d+ (?:called|named)\b.*)$|\b(?:please|pretty please|thanks|remind me)\W*$|, (?:please|can you|could you|would you)\b|\b(?:the|a|an|of|my|our|for the|on the|due|tagged|labelled)$|[?!] \w+$|^[,:;)]"
    rf"|^(['\"])[^'\"]+\2 (?:for|on|at|by|with|as|in|the|of)\b",
    re.IGNORECASE,
)
"""Titles that have more of the sentence in them than a title has."""
_BULLET: Final = re.compile(r"(?:[-*\u2022\u2013+]|\d{1,2}[.)]|\[[ x]?\])\s*")
_MOST_ITEMS: Final = 20


@dataclass(frozen=True, slots=True)
class _Command:
    """What stands after the words that ask for a task, its priority if they said one, and whether they ask for several."""

    rest: str
    priority: str | None = None
    many: bool = False
    label: str | None = None


def adding(said: Said, context: Context) -> Reading | tuple[Reading, str] | None:
    """Return the task that `said` adds, and the command that follows it, if one does; None when nothing is added."""
    words = said.words
    if re.fullmatch(rf"(?:a |another |one more )?(?:new |next |another ){_NOUN}", words, re.IGNORECASE):
        return _first(said, "", None, context)
    if urged := _URGED.match(words):
        return _urged(adding(said.part(words[urged.end() :]), context))
    found = _these(words) or _explicit(said, context) or _headed(said, context) or _led(words) or _loose(said, context)
    if found is None or found.many:
        return None if found is None else _several(said, found.rest, context)
    if more := _AND_THEN.search(found.rest[:400]):
        return _first(said, found.rest[: more.start()], found.priority, context), more["more"]
    return _first(said, found.rest, found.priority, context, found.label)


def _these(words: str) -> _Command | None:
    found = _THESE.match(words)
    return None if found is None else _Command(words[found.end() :], many=True)


def _urged(added: Reading | tuple[Reading, str] | None) -> Reading | tuple[Reading, str] | None:
    """Return what is added as urgent, because that was said first."""
    first, more = added if isinstance(added, tuple) else (added, None)
    if not isinstance(first, Act):
        return added
    urgent = replace(first, arguments={**first.arguments, "priority": "high"})
    return urgent if more is None else (urgent, more)


def _explicit(said: Said, context: Context) -> _Command | None:
    words = said.words
    found = _EXPLICIT.match(words)
    if found is None:
        return None
    rest = found["rest"]
    listed = _LISTED.match(words) and not found["article"]
    if re.match(r"give me (?:my|the|all|these)\b", words, re.IGNORECASE):
        return None
    noted = found["noun"].lower().startswith("note") and _NOTED.match(rest)
    if noted or (found["many"] and (listed or not rest.strip(" .:,"))):
        return None
    rest = _dated_last(
        said, f"{rest} {found['often'] or ''}".rstrip() if not found["often"] else _often(rest, found["often"]), context
    )
    naming = _NAMING.match(rest)
    return _Command(rest[naming.end() if naming else 0 :], _priority(found), bool(found["many"]), found["label"])


def _often(rest: str, often: str) -> str:
    """Return what follows "a monthly task" with the word where dates are: `on the 1st: pay` is `monthly on the 1st: pay`."""
    return f" {often}{rest}" if re.match(r"[\s,]*(?:on|at|every|each)\b", rest, re.IGNORECASE) else f"{rest} {often}"


def _dated_last(said: Said, rest: str, context: Context) -> str:
    """Return what follows the word for a task with its date at the end: `for friday: call` is `call for friday`."""
    found = _DATED.fullmatch(rest.strip())
    if found is None or MARK_IN.search(found["when"]):
        return rest
    at = dated(said.plain(found["when"]), context)
    return f": {found['title']} {found['when']}" if at and at.end - at.start == len(found["when"]) else rest


def _headed(said: Said, context: Context) -> _Command | None:
    if found := _HEADED.match(said.words):
        return _Command(found["rest"], _priority(found))
    if re.match(r"(?:task|to-?do|reminder) ", said.words, re.IGNORECASE):
        rest = _dated_last(said, said.words, context)
        return None if rest == said.words else _Command(rest.lstrip(": "))
    return None


def _priority(found: re.Match[str]) -> str | None:
    said = found["priority"] or found["urgency"]
    return priority(said) if said else None


def _led(words: str) -> _Command | None:
    """`remind me to`, `I need to`, `don't forget to`: but "I need to know" asks, and "I need to delete task 3" commands."""
    found = _LEADS.match(words)
    if found is None:
        return None
    forgetting = _FORGETTING.search(words[: found.start("rest")])
    if not forgetting and any(other.match(found["rest"]) for other in (_WONDERING, _COMMAND, _TASK_IT_IS)):
        return None
    rest = _DUTY.sub("", found["rest"]) if forgetting else found["rest"]
    return _Command(re.sub(r"^not to ", "don't ", rest, flags=re.IGNORECASE))


def _loose(said: Said, context: Context) -> _Command | None:
    """`put milk on my list`, `schedule lunch for friday`, `add milk`."""
    words = said.words
    if (found := _ONTO.fullmatch(words)) and not _NOT_TASKS.fullmatch(found["rest"].rsplit(" ", 3)[0]):
        return _Command(found["rest"])
    if (found := _SCHEDULE.fullmatch(words)) and dated(said.plain(found["rest"]), context):
        return _Command(found["rest"])
    if (found := _BARE.fullmatch(words)) and not _NOT_TASKS.fullmatch(found["rest"]):
        return _Command(re.sub(r"^(?:to|that|this|in)[ :]+", "", found["rest"], flags=re.IGNORECASE))
    return None


def _first(said: Said, rest: str, wanted: str | None, context: Context, label: str | None = None) -> Reading:
    arguments = ({"priority": wanted} if wanted else {}) | draft(said, rest, context)
    if label:
        arguments["labels"] = list(dict.fromkeys([label, *as_labels(arguments.get("labels"))]))
    if not arguments["title"]:
        return Ask("What is the task? Say it as you would write it down, for example: add a task to buy milk tomorrow.")
    added = Act("add_task", {"title": arguments.pop("title"), **arguments}, 0.97)
    return confirmed(added) if _DOUBTFUL.search(str(added.arguments["title"])) else added


def _several(said: Said, rest: str, context: Context) -> Reading:
    """Return a task for each line, or for each part between commas when there is but one line."""
    lines = [line for line in rest.strip(" :").split("\n") if line.strip()]
    parts = lines if len(lines) > 1 else re.split(r"; ?|, ?(?:and )?", rest.strip(" :\n"))
    if len(lines) == 1 and (len(parts) == 1 or len(parts[-1].split()) <= 4):
        parts = [*parts[:-1], *re.split(r" and (?!then)", parts[-1])]
    acts = [
        _first(said, _BULLET.sub("", part.strip(), count=1), None, context)
        for part in parts[:_MOST_ITEMS]
        if part.strip()
    ]
    tasks = [act for act in acts if isinstance(act, Act)]
    if not tasks or len(parts) > _MOST_ITEMS:
        return Ask(f"Which tasks? I add up to {_MOST_ITEMS} at once, one a line.")
    return Act("add_task", tasks[0].arguments, 0.95, then=tuple(tasks[1:]))


def offered(said: Said, context: Context) -> Act | None:
    """Return a task of the whole text, to offer where nothing else fits."""
    if not said.words or len(said.words) > 200 or re.fullmatch(rf"[\W\d_]*|{MARK}", said.words):
        return None
    arguments = draft(said, said.words, context)
    return Act("add_task", {"title": arguments.pop("title"), **arguments}, 0.5) if arguments["title"] else None
