"""What is said that asks for nothing, and what can't be done here. Pure."""

import re
from typing import Final

from mainstem.assistant.local.said import Said
from mainstem.assistant.local.terms import Reading, Refuse, Talk

HELP: Final = (
    "I look after your tasks and look things up in the hub. For example: add a task to call Ana tomorrow at 9; what's pending; "
    "mark task 3 as complete; move task 4 to friday; delete the meeting task; which webhooks are failing; any alerts; "
    "stats for link spring-sale; explain booking 12345."
)
OUT_OF_SCOPE: Final = "I can't help with that. I look after tasks, links, customers' journeys, webhooks, alerts and bookings. Say help for examples."
TOO_LONG: Final = "That is too long for a command. Say it in a sentence or two, or begin with: add a task to."
_GREETING: Final = re.compile(
    r"(?:hi|hello|hey|howdy|greetings|yo|good (?:morning|afternoon|evening|day|night)|hi there|hello there|hey there|morning)(?: there| everyone| all| assistant)?",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(
    r"(?:(?:many |no )?thanks|thank you|thx|ty|cheers|much appreciated|great|perfect|awesome|nice|cool|ok|okay|alright|all right|good|got it|fine|well done|super|lovely|excellent|wonderful)(?:[ ,!.]*(?:thanks|thank you|a lot|a bunch|a million|so much|ever so much|very much|great|job|work|good|cool|perfect|again|then|(?:that's|that is|thats) (?:all|it|everything|me done)(?: (?:i need|i needed))?(?: for)?(?: now| today| the moment)?|thats all|that is all|that was (?:all|it|great|quick|helpful|perfect)|that'?ll be all|you|for (?:your|the|all the|all your) help|(?:you(?:'ve| have) been|you are|you're) (?:a )?(?:great|very|so|big|huge|wonderful|real)? ?(?:help\w*|lifesaver|star|the best|great)|today|now|everything|very helpful|helpful|have a (?:nice|good|great|lovely) (?:day|evening|one|weekend)|bye))*",
    re.IGNORECASE,
)
_THANKING: Final = re.compile(
    r"(?:(?:good \w+|hi|hello|hey|a+w+|oh|ah|wow|great|perfect|amazing|brilliant|lovely|ok|okay)(?: there)?[,!.]* (?:and )?)?(?:many thanks|thanks|thank you|thx|cheers|much appreciated)\b.{0,80}$",
    re.IGNORECASE,
)
_BYE: Final = re.compile(
    r"(?:bye|goodbye|good bye|see you|see ya|later|cu|that's it|that's all|thats all|that is all|nothing else)(?: later| bye| soon| for now| then| tomorrow)*",
    re.IGNORECASE,
)
_HELP: Final = re.compile(
    r"(?:help|/help|\?|menu|commands|examples)|(?:i need |can you )?help(?: me)?|(?:what|which things|what else|what all|what (?:sorts?|kinds?|types?) of (?:things|stuff|tasks|questions|requests)) (?:can|do|could) you (?:do|know|understand|offer|help(?: me)?(?: with)?)(?: for (?:me|us)| here)?|what you (?:can|could|are able to|know how to) do(?: for (?:me|us))?(?: here)?|how (?:can|could) you help(?: me| us)?|what (?:can|do) i (?:say|ask|type)(?: to you| here)?|how (?:does this|do you) work"
    r"|who are you|what are you|what is this|are you (?:a )?(?:bot|robot|human|ai|real|machine|person).*|what(?:'s| is) your name|what are (?:you|your) (?:able to do|capable of|abilities|commands|features)",
    re.IGNORECASE,
)
_NEVER_MIND: Final = re.compile(
    r"(?:no|nope|nah|never ?mind|forget it|forget about it|cancel(?: that| it)?|stop(?: it)?|nothing|leave it|don't|do not|abort|no thanks|no thank you|not now|skip(?: it)?|drop it|don't bother)(?:[ ,.!]+(?:thanks|thank you|don't|do not|please|then|leave it|that's fine|never ?mind))*",
    re.IGNORECASE,
)
_ABOUT: Final = re.compile(
    r"(?:how (?:do|can|could|should|would|to)|what happens|what would happen|what does|what do you mean|is it possible|are you able|can i|could i|may i|am i able|explain how|what is the (?:way|command)|where (?:do|can) i)\b",
    re.IGNORECASE,
)
_DOMAIN: Final = re.compile(
    r"\b(?:tasks?|to-?dos?|reminders?|list|links?|webhooks?|deliver(?:y|ies)|alerts?|bookings?|orders?|customers?|journeys?|reconcil\w+|complete|delete|remove|add|priority|labels?|due)\b",
    re.IGNORECASE,
)
_PAST: Final = re.compile(
    r"(?:did|have|has|why|who|when|was|were|is|are|what|which|should|shall|do|does)\b", re.IGNORECASE
)
_INJECTION: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|rules?|prompts?|previous|prior|above|guidelines|restrictions)\b|\b(?:you are now|pretend|act as|jailbreak|developer mode|as an? (?:admin|administrator|root))\b"
    r"|\b(?:system|admin) ?(?:prompt|password|override)\b|^(?:system|admin|root|assistant|user) ?:|\bdrop (?:all |the )?(?:tables?|database|schema)\b|\b(?:password|credentials?|api keys?|secrets?|tokens?)\b"
    r"|\b(?:of|for|from) (?:user|tenant) ?#?\w*\d|\b(?:other|another|every|all) (?:users?|tenants?|people)(?:'s?)?\b",
    re.IGNORECASE,
)
_BULK: Final = re.compile(
    r"(?:(?:delete|remove|erase|drop|wipe|clear|purge|complete|finish|mark|close|cancel|get rid of|destroy|nuke|tick off|check off|reset|empty)\b[^.!?;,]{0,40}\b(?:everything|all|every|entire|whole)\b|(?:clear|empty|wipe|reset|purge) (?:out )?(?:my |the |our )?(?:to-?do |task |todo )?(?:list|tasks|todos))",
    re.IGNORECASE,
)
_NO_TOOL: Final = re.compile(
    r"(?:re-?open|un-?complete|un-?delete|restore|recover|share|assign|unassign|delegate|export|import|print|archive|duplicate|copy|merge|split|undo|redo)\b.*\b(?:tasks?|to-?dos?|it|that|#\d+|list)\b"
    r"|(?:delete|remove|cancel|create|add|make|new|disable|enable|turn (?:on|off)|deactivate|activate|resolve|silence|mute|close|sync|inject|update|change|edit|rename|erase|pause|stop|move|book|submit|push|shorten|revoke|rotate|unsubscribe)\b"
    r"(?: (?:a|an|the|my|our|new|this|that|all|short|tracked))*\b.{0,40}?\b(?:links?|web ?hooks?|endpoints?|alerts?|rules?|customers?|visitors?|bookings?|orders?|users?|tenants?|connectors?|deliver(?:y|ies)|keys?|accounts?|data|database|tables?)\b",
    re.IGNORECASE,
)
_ELSEWHERE: Final = re.compile(
    r"(?:tell (?:me )?(?:a|about|your)|write (?:a|an|me|some|python|java|code|the)|compose|translate|sing|play|recommend|suggest|summari[sz]e|calculate|compute|solve|define|describe|explain|draw|generate|imagine|search the (?:web|internet)|google|convert|spell|rate|predict|guess"
    r"|what(?:'s| is| are| was| were| will| would| color| time| year| day)?|who(?:'s| is| are| was| won| will)?|how (?:old|tall|far|big|long|many|much|hot|cold|fast|do|does|did|is|are|was|to|come)|when (?:is|was|did|will|does)|where (?:is|are|was|did|does|can)|why|which|is it|is there|are there|are you|do you|does|did|will|would|should)\b",
    re.IGNORECASE,
)


def small(said: Said) -> Talk | None:
    """Return the answer to greetings, thanks, good-byes and calls for help."""
    words = said.words.strip(" .!?,")
    if _GREETING.fullmatch(said.whole.strip(" .!?,")) or _THANKS.fullmatch(said.whole.strip(" .!?,")):
        words = said.whole.strip(" .!?,")
    if _HELP.fullmatch(words):
        return Talk(HELP)
    if _GREETING.fullmatch(words):
        return Talk("Hello. What shall I do? Say help for examples.")
    if _THANKS.fullmatch(words):
        return Talk("You are welcome.")
    if _BYE.fullmatch(words):
        return Talk("Good-bye.")
    if _NEVER_MIND.fullmatch(words):
        return Talk("All right, nothing is done.")
    return None


def thanked(said: Said) -> Talk | None:
    """Return the answer to thanks of whatever words, where nothing else was read in them."""
    return Talk("You are welcome.") if _THANKING.match(said.whole) and not said.asked else None


def guarded_against(said: Said) -> Refuse | None:
    """Return the refusal of what no command here may do: everything at once, other people's things, secrets, other rules."""
    if _INJECTION.search(said.words):
        return Refuse("I only do what you may do yourself, one task at a time, and nothing in a message changes that.")
    if _BULK.match(said.words):
        return Refuse(
            "I only change tasks that are named one by one. Say their numbers, for example: delete tasks 2 and 5."
        )
    return None


def about(said: Said) -> Reading | None:
    """Return the answer to questions about what could be done or was done."""
    words = said.words
    if _ABOUT.match(words) and _DOMAIN.search(words):
        return Talk(HELP)
    if (
        (said.asked or _PAST.match(words))
        and _PAST.match(words)
        and re.search(
            r"\b(?:delete|remove|complete|finish|change|update|add|create|renam)\w*\b|\bdone\b", words, re.IGNORECASE
        )
    ):
        return Talk(
            "I have changed nothing. I see tasks as they are, not who changed them: ask for your tasks to see which are done."
        )
    return None


def impossible(said: Said) -> Refuse | None:
    """Return the refusal of what there is no tool for."""
    if _NO_TOOL.match(said.words):
        return Refuse(
            "I can't do that here. I add, show, change, complete and delete tasks, and look things up in the hub."
        )
    return Refuse(OUT_OF_SCOPE) if _ELSEWHERE.match(said.words) else None
