"""Which model answers, and what a person has named with their own words."""

from collections.abc import Mapping
from typing import Any, Final

from mainstem.assistant.chat.hands import Named
from mainstem.assistant.local.model import LocalModel, read, tasks_like
from mainstem.assistant.local.similar import choose, likeness
from mainstem.assistant.local.terms import Act, Mentioned
from mainstem.assistant.ports import Hands, Model, Talk
from mainstem.platform.addresses import parse_networks
from mainstem.platform.settings import Settings

_WHOLE_NAME: Final = 0.8


def model_of(settings: Settings) -> Model:
    """Return the model at the configured endpoint, or the local one where none is."""
    if settings.openai_api_key is None and settings.openai_base_url is None:
        return LocalModel()
    # the framework takes seconds to load, and is loaded only where somebody wants it
    from mainstem.assistant.openai.model import OpenAIModel  # noqa: PLC0415

    return OpenAIModel(settings, tuple(parse_networks(settings.outbound_allow)))


def named_by(talk: Talk, hands: Hands) -> Named:
    """Return what tells whether the person's own message names a deletion exactly: by its id, or by a title that only one task has.

    A language model does not say so itself: the message is read by rules, and nothing that the model was shown counts.
    """

    async def named(tool: str, arguments: Mapping[str, Any]) -> bool:
        if tool != "delete_task":
            return False
        reading = read(talk)
        acts = (reading, *reading.then) if isinstance(reading, Act) else ()
        for act in acts:
            if act.tool == tool and await _means(act, arguments.get("task_id"), hands):
                return True
        return False

    return named


async def _means(act: Act, task_id: object, hands: Hands) -> bool:
    if act.find is None:
        return task_id is not None and act.arguments.get("task_id") == task_id
    listed = await tasks_like(act, hands)
    chosen = choose(act.find, listed) if isinstance(listed, list) else ()
    return (
        isinstance(chosen, Mentioned) and chosen.id == str(task_id) and likeness(act.find, chosen.title) >= _WHOLE_NAME
    )
