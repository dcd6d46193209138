"""Templates of addresses, headers and bodies: `{name}` stands for a value, and `{env:NAME}` for one of the environment. Pure.

A text that is one name and nothing else becomes the value itself, so that numbers stay numbers; in longer texts values are
written out. `{each item: …}` in a body becomes a list, one element for each item of the order.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

EACH: Final = "each item"
Values = Mapping[str, Any]
_NAME: Final = re.compile(r"\{([a-z_]+)\}")
_ENVIRONMENT: Final = re.compile(r"\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def with_environment(value: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    """Return a template with the values of the environment in it. Raises ValueError for one that is not set."""
    match value:
        case str():
            return _ENVIRONMENT.sub(lambda found: _set(environment, found[1]), value)
        case Mapping():
            return {name: with_environment(one, environment) for name, one in value.items()}
        case list():
            return [with_environment(one, environment) for one in value]
        case _:
            return value


def filled(template: Any, values: Values, items: Sequence[Values] = ()) -> Any:  # noqa: ANN401 - any JSON
    """Return a body. Names must be known: `check` sees to that when the file is read."""
    match template:
        case str():
            whole = _NAME.fullmatch(template)
            return values[whole[1]] if whole else written(template, values)
        case {"each item": one} if len(template) == 1:
            return [filled(one, {**values, **item}) for item in items]
        case Mapping():
            return {name: filled(one, values, items) for name, one in template.items()}
        case list():
            return [filled(one, values, items) for one in template]
        case _:
            return template


def written(template: str, values: Values) -> str:
    """Return a text; nothing stands for null."""
    return _NAME.sub(lambda found: _text(values[found[1]]), template)


def address(template: str, values: Values) -> str:
    """Return an address; whatever a value holds stays within its part of it."""
    return _NAME.sub(lambda found: quote(_text(values[found[1]]), safe=""), template)


def check(template: Any, known: Sequence[str], known_of_items: Sequence[str] = ()) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield what is wrong with a template, each as the rest of a sentence."""
    match template:
        case str():
            for name in _NAME.findall(template):
                if name not in known:
                    yield f"knows no {{{name}}}; there are {', '.join(known)}"
        case {"each item": one} if len(template) == 1:
            if not known_of_items:
                yield "has no items here"
            yield from check(one, (*known, *known_of_items))
        case Mapping():
            for one in template.values():
                yield from check(one, known, known_of_items)
        case list():
            for one in template:
                yield from check(one, known, known_of_items)
        case _:
            return


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _set(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise ValueError(f"the environment has no {name}")
    return environment[name]
