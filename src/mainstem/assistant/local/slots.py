"""The parts of a sentence that become arguments: dates, priorities, labels, numbers, and words that name a thing. Pure."""

import re
from typing import Final

from mainstem.assistant.local.said import MARK, Said
from mainstem.assistant.local.terms import Context
from mainstem.tasks import when

LONGEST_TITLE: Final = 200
LONGEST_DESCRIPTION: Final = 1024
_LARGEST_ID: Final = 2**31 - 1
_NUMBERS: Final = "one two three four five six seven eight nine ten eleven twelve".split()
NUMBER: Final = r"(?:\d{1,10}(?![\w.]*\d)|(?:" + "|".join(_NUMBERS) + r")(?! (?:hundred|thousand|million|and))\b)"
TASK: Final = r"(?:tasks?|to-?dos?|todo items?|items?|reminders?|entry|entries|thing)"
REFERENCE: Final = (
    rf"(?:the )?(?:{TASK} ?(?:with )?(?:the )?(?:number|no\.?|nr\.?|id|#)? ?#?|#|number |no\. ?)({NUMBER})"
)
"""`task 3`, `#3`, `task number three`: the number is its group."""
_PRIORITIES: Final = {
    "high": "high", "urgent": "high", "important": "high", "top": "high", "asap": "high", "highest": "high", "critical": "high", "p1": "high", "1": "high",
    "medium": "medium", "normal": "medium", "middle": "medium", "p2": "medium", "2": "medium",
    "low": "low", "lowest": "low", "p3": "low", "p4": "low", "3": "low", "4": "low", "minor": "low",
}  # fmt: skip
PRIORITY: Final = r"(high(?:est)?|urgent|important|top|critical|medium|normal|low(?:est)?|minor)"
_PRIORITY_IN: Final = re.compile(
    rf"(?:^|(?<=[\s,(]))(?:(?:with |at |as |of )?(?:a |the )?{PRIORITY}[- ]prio(?:rity)?|(?:with )?prio(?:rity)?:? {PRIORITY}|!(high|medium|low|[1-4])|(p[1-4]))(?=[\s,.!)]|$)"
    r"|(?:,|[.!?;-]) ?(?:(?:it's|it is|its|this is|that's|very|really|quite|kind of|pretty|super) )*(urgent|important|critical|asap)(?=[,.!]|$)|[\s(](asap)\)?(?=[,.!]|$)|\((urgent|important|critical)\)",
    re.IGNORECASE,
)
_LABEL_IN: Final = re.compile(r"(?:^|(?<=\s))#([^\W\d][\w/-]{0,49})(?=[\s,.!;]|$)")
_LABELED: Final = re.compile(
    r",?(?: and)? (?:labell?ed(?: as| with)?|tagged(?: as| with)?|(?:with|under) (?:the )?(?:label|tag)s?:?|labels?:?|tags?:) #?([\w-]{1,50})[.!]?$",
    re.IGNORECASE,
)
_LABEL_WORD: Final = re.compile(r",? (?:with|under|and) (?:the )?(?:label|tag)s?:? (?=#)", re.IGNORECASE)
_OF_MONTHS: Final = re.compile(
    r"\b(?:on|for) (?:the )?(?P<day>first|\d{1,2}(?:st|nd|rd|th)|(?:first|second|third|fourth|last) (?:mon|tues|wednes|thurs|fri|satur|sun)day)(?: day)? (?:of|in) (?:every|each) month\b",
    re.IGNORECASE,
)
_ADDED_ABOVE: Final = re.compile(
    r"[,;.]? (?:so |and |, )?(?:please |can you |could you |would you )*(?:add|put|pop|stick|bung|chuck|throw|slot|get|note|remember|write|jot|save|track|log) (?:that|this|it)(?: down| in)?(?: (?:to|on|onto|in|into) (?:my|the|our) (?:to-?do |task )?(?:tasks|list|to-?dos|todos))?(?: please)?$",
    re.IGNORECASE,
)
_PLEASE: Final = re.compile(r",? (?:please|pls)(?=[?.!;] )", re.IGNORECASE)
_AND_IT: Final = re.compile(
    rf"[,;.]? (?:and |then )*(?:please )?(?:(?:tag|label|file) (?:it|this|that) (?:as |with |under )*(?:the (?:label|tag) )?#?(?P<label>[\w-]{{1,50}})"
    rf"|(?:make|set|mark|flag|give) (?:it|this|that) (?:as |to |a |an |is )*(?:priority )?(?P<priority>{PRIORITY})(?:[- ]prio(?:rity)?)?"
    r"|(?:(?:make|set|have) (?:it|this|that) |(?:it's|it is|that's|this is) (?=due\b))(?P<due>(?:due|for|by|on|to be done by) .+))[.!]?$",
    re.IGNORECASE,
)
"""What is said of the task after its title: `and tag it as kitchen`."""
_DESCRIBED: Final = re.compile(
    r"[,;.]? ?\(?\b(?:with (?:the |a )?description(?: that says| saying)?:?|with (?:the |a )?(?:notes?|details?)(?:,? (?:that says|saying)|:)) (.+)$",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"(?:^|(?<=[\s.;,(]))(title|name|description|details?|notes?|priority|due(?: date)?|deadline|labels?|tags?) ?: ?",
    re.IGNORECASE,
)
_NOTHING: Final = re.compile(r"[\s,;]+(?:(?:and|with|a|the)[\s,;]*)+$", re.IGNORECASE)
"""What stays at the end when a date, a label or a priority is taken away."""
_LEAD: Final = re.compile(r"(?:[:,;-]+\s*|to\s+(?=\S)|that says\s+|saying\s+)+", re.IGNORECASE)
_LISTS: Final = re.compile(
    r",? (?:to|on|onto|in|into) (?:(?:my|the|our) (?:(?:to-?do|todo|to do|task)s? ?)?(?:list|tasks|todos|to-?dos|tasklist)(?=\s|$|[,.!])|(?:(?:to-?do|todo|to do|task) list|tasks|todos|to-?dos)$)",
    re.IGNORECASE,
)
_AS_TASK: Final = re.compile(
    rf" as (?:a |an |another |my )?(?:new )?(?:(?P<priority>{PRIORITY})(?:[- ]prio(?:rity)?)? )?(?:task|to-?do|reminder|todo item)$",
    re.IGNORECASE,
)
_ARTICLE: Final = re.compile(r"^(?:the|my|our|that|this|a|an)\s+", re.IGNORECASE)


def number(word: str) -> int | None:
    """Return the id that a number names, 1 to 2**31 - 1."""
    value = _NUMBERS.index(word.lower()) + 1 if word.lower() in _NUMBERS else int(word) if word.isdecimal() else 0
    return value if 1 <= value <= _LARGEST_ID else None


def priority(word: str) -> str:
    """Return low, medium or high for a word of PRIORITY."""
    return _PRIORITIES[word.lower()]


def due(found: when.Found) -> dict[str, object]:
    """Return what a date in words is as arguments: `due`, and `recurrence` when it comes back."""
    arguments: dict[str, object] = {}
    if found.due is not None:
        arguments["due"] = found.due.date().isoformat() if found.all_day else found.due.isoformat()
    if found.recurrence:
        arguments["recurrence"] = found.recurrence
    return arguments


def dated(words: str, context: Context) -> when.Found | None:
    """Return the date in `words`, as the person's calendar has it."""
    return when.find(words, now=context.now, zone=context.zone)


def draft(said: Said, fragment: str, context: Context) -> dict[str, object]:
    """Return the arguments of a new task: what is no date, label, priority or description is its title."""
    arguments: dict[str, object] = {}
    if (as_task := _AS_TASK.search(fragment)) and as_task["priority"]:
        arguments["priority"] = priority(as_task["priority"])
    rest = _AS_TASK.sub("", _LISTS.sub("", _ADDED_ABOVE.sub("", fragment), count=1)).strip()
    head, _, more = _PLEASE.sub("", rest).partition("\n")
    head, said_of_it = _said_of_it(_opened(head, context))
    head = _OF_MONTHS.sub(lambda of: f"every {'1st' if of['day'].lower() == 'first' else of['day']}", head)
    if found := _DESCRIBED.search(head):
        head, more = head[: found.start()], found[1]
    head, fields = _fields(said, head, context)
    arguments |= fields
    more = str(arguments.pop("description", more))
    if found := _PRIORITY_IN.search(head):
        arguments["priority"] = priority(next(group for group in found.groups() if group))
        head = f"{head[: found.start()].rstrip(' ,')} {head[found.end() :].lstrip(' ,')}".strip()
    labels = [label[1] for label in _LABEL_IN.finditer(head)]
    head = re.sub(r"\s{2,}", " ", _LABEL_IN.sub("", _LABEL_WORD.sub(" ", head)))
    if (found := _LABELED.search(head)) and (found.start() or not labels):
        labels, head = [*labels, found[1]], head[: found.start()]
    arguments |= said_of_it
    if labels:
        arguments["labels"] = list(dict.fromkeys([*labels, *as_labels(arguments.get("labels"))]))
    if at := dated(said.plain(head) if not re.fullmatch(MARK, head.strip()) else "", context):
        arguments |= due(at)
        text = when.without(said.plain(head), at)
        # after a date in front, as in "remind me tomorrow about the drill", a word is left over
        text = re.sub(r"^(?:about|to|that|of)\s+", "", text, flags=re.IGNORECASE) if at.start == 0 else text
        # the date may have stood behind the label
        if (found := _LABELED.search(text)) and found.start():
            arguments["labels"] = list(dict.fromkeys([*as_labels(arguments.get("labels")), found[1]]))
            text = text[: found.start()]
    else:
        text = said.plain(head)
    title, more = _fitting(_title(text[:-80] + _NOTHING.sub("", text[-80:])), more)
    if more.strip():
        arguments["description"] = said.plain(more)[:LONGEST_DESCRIPTION].strip()
    return {"title": title, **arguments}


def _opened(head: str, context: Context) -> str:
    """Return a title whose brackets at the end have nothing but its date, priority or label in them, without the brackets."""
    found = re.search(r"[ ,]*\(([^()]{2,80})\)[.!]?$", head)
    if found is None or not found.start():
        return head
    for part in re.split(r", ?", found[1]):
        at = dated(part, context)
        known = (at and at.end - at.start == len(part)) or _PRIORITY_IN.fullmatch(part) or _LABEL_IN.fullmatch(part)
        if not known and not re.fullmatch(
            rf"{PRIORITY}|asap|(?:labell?ed|tagged|label:?|tag:?) #?[\w-]+", part, re.IGNORECASE
        ):
            return head
    return f"{head[: found.start()]}, {found[1]}"


def _said_of_it(head: str) -> tuple[str, dict[str, object]]:
    """Return a title without what is said of "it" behind it, and that."""
    arguments = dict[str, object]()
    for _ in range(3):
        found = _AND_IT.search(head)
        if found is None or not found.start():
            break
        head, more = head[: found.start()], ""
        if found["label"]:
            arguments["labels"] = [found["label"], *as_labels(arguments.get("labels"))]
        elif found["priority"]:
            arguments["priority"] = priority(found["priority"])
        else:
            more = f" {found['due']}" if found["due"] else ""
        head += more
        if more:
            break
    return head, arguments


def as_labels(value: object) -> list[str]:
    """Return a list of labels that may not be there."""
    return [str(label) for label in value] if isinstance(value, list) else []


def _fields(said: Said, head: str, context: Context) -> tuple[str, dict[str, object]]:
    """Return what stands before fields (`Priority: high. Due: friday`), or is the title among them, and the fields."""
    parts = _FIELD.split(head)
    title, arguments = parts[0], dict[str, object]()
    for name, value in zip(parts[1::2], parts[2::2], strict=True):
        text = value.strip(" .;,)")
        match name.lower():
            case "title" | "name":
                title = text
            case "priority":
                word = re.match(PRIORITY, text, re.IGNORECASE)
                arguments |= {"priority": priority(word[1])} if word else {}
            case "due" | "due date" | "deadline":
                at = dated(f"by {text}", context)
                arguments |= due(at) if at else {}
            case "label" | "labels" | "tag" | "tags":
                arguments["labels"] = [
                    word.strip(" #'\"") for word in re.split(r",|;| and ", said.plain(text)) if word.strip(" #'\"")
                ]
            case _:
                arguments["description"] = said.plain(text)
    return title, arguments


def _title(text: str) -> str:
    bare = text.strip(" \t,;:-")
    if lead := _LEAD.match(bare):
        bare = bare[lead.end() :]
    bare = bare.strip().rstrip(".!?,;: ")
    if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "'\"" and bare[0] not in bare[1:-1]:
        bare = bare[1:-1]
    return bare


def _fitting(title: str, more: str) -> tuple[str, str]:
    """Return a title of at most 200 characters; the whole of a longer one goes into the description."""
    if len(title) <= LONGEST_TITLE:
        return title, more
    cut = title[: LONGEST_TITLE - 1].rsplit(" ", 1)[0].rstrip() or title[: LONGEST_TITLE - 1]
    return cut[: LONGEST_TITLE - 1] + "\u2026", f"{title}\n{more}".strip()


def named(said: Said, fragment: str) -> str:
    """Return the words that name a thing, without article and without "task": `the meeting task` is `meeting`."""
    words = re.sub(
        rf"^(?:the |my |our |that |this )?(?:{TASK}|one(?= (?:called|named|titled|about|for|that says|regarding)))(?: (?:called|named|titled|about|for|with the title|that says|to|on|regarding))? (?=\S)",
        "",
        fragment.strip(),
        flags=re.IGNORECASE,
    )
    words = re.sub(rf"[,]? {TASK}$", "", words.strip(" .,:;!?"), flags=re.IGNORECASE)
    words = re.sub(
        r"(?:,)? (?:from|on|in|off) (?:my|the|our) (?:to-?do |todo |task )?list$", "", words, flags=re.IGNORECASE
    )
    words = re.sub(rf"[,]? {TASK}$", "", words, flags=re.IGNORECASE)
    return said.plain(_ARTICLE.sub("", words).strip())[:LONGEST_TITLE]
