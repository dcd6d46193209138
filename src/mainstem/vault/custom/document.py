"""YAML with the line of everything in it, and the list of what is wrong with it: each with file, line and field."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import yaml

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ModelError(Exception):
    """A model can't be used; each sentence names the file, the line, the field and what is expected."""

    def __init__(self, problems: Collection[str]) -> None:
        """Keep the sentences."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Problems:
    """What is wrong with one file."""

    file: str
    found: list[str] = field(default_factory=list)

    def add(self, line: int | None, place: str, sentence: str) -> None:
        """Note one fault."""
        at = self.file if line is None else f"{self.file}:{line}"
        self.found.append(f"{at}: {place}: {sentence}" if place else f"{at}: {sentence}")

    def check(self) -> None:
        """Raise ModelError when there are any."""
        if self.found:
            raise ModelError(self.found)


class Part:
    """A value in the file, with its place."""

    def __init__(self, node: yaml.Node, place: str, line: int, problems: Problems) -> None:
        """Keep the node; `line` is that of its name."""
        self._node = node
        self.place = place
        self.line = line
        self._problems = problems

    def wrong(self, sentence: str) -> None:
        """Note that something is wrong with this value."""
        self._problems.add(self.line, self.place, sentence)

    def fields(self, known: Collection[str], required: Collection[str] = ()) -> "dict[str, Part]":
        """Return the values by the names of a mapping that may have the `known` names and must have the others."""
        parts = dict(self.entries())
        for name in [name for name in parts if name not in known]:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"
            parts.pop(name).wrong(f"there is no such setting{hint}")
        for name in required:
            if name not in parts and isinstance(self._node, yaml.MappingNode):
                self.wrong(f"{name} is missing")
        return parts

    def entries(self) -> "Iterator[tuple[str, Part]]":
        """Yield the names and values of a mapping."""
        if not isinstance(self._node, yaml.MappingNode):
            self._expected("names with values (name: value)")
            return
        seen: set[str] = set()
        for key, value in self._node.value:
            name = str(key.value)
            part = Part(value, f"{self.place}.{name}" if self.place else name, key.start_mark.line + 1, self._problems)
            if name in seen:
                part.wrong("the name is there twice")
            seen.add(name)
            yield name, part

    def named(self) -> "Iterator[tuple[str, Part]]":
        """Yield the entries of a mapping whose names become names of tables or columns."""
        for name, part in self.entries():
            if NAME.fullmatch(name) is None:
                part.wrong("a name has up to 40 characters a-z, 0-9 and _, and begins with a letter")
            else:
                yield name, part

    def items(self) -> "Iterator[Part]":
        """Yield the items of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self._expected("a list")
            return
        for number, node in enumerate(self._node.value):
            yield Part(node, f"{self.place}[{number}]", node.start_mark.line + 1, self._problems)

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts with at least one, none twice."""
        texts = [part.text() for part in self.items()]
        if isinstance(self._node, yaml.SequenceNode) and not texts:
            self.wrong("the list is empty")
        for text in {text for text in texts if texts.count(text) > 1}:
            self.wrong(f"{text} is there twice")
        return tuple(texts)

    def text(self) -> str:
        """Return a text; an empty one after noting that it is none."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.tag != "tag:yaml.org,2002:null":
            return str(self._node.value)
        self._expected("a text")
        return ""

    def flag(self) -> bool:
        """Return true or false."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:bool":
            return str(self._node.value).lower() in {"true", "yes", "on"}
        self._expected("true or false")
        return False

    def _expected(self, what: str) -> None:
        match self._node:
            case yaml.SequenceNode():
                found = "a list"
            case yaml.MappingNode():
                found = "names with values"
            case yaml.ScalarNode(tag="tag:yaml.org,2002:null"):
                found = "nothing"
            case _:
                found = f"the text {self._node.value!r}"
        self.wrong(f"expected {what}, found {found}")


def read(text: str, file: str | Path) -> tuple[Part, Problems]:
    """Return the whole of a YAML text. Raises ModelError where it is no YAML."""
    problems = Problems(str(file))
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problems.add(line, "", f"this is no YAML: {getattr(error, 'problem', None) or error}")
        problems.check()
    if node is None:
        node = yaml.MappingNode("tag:yaml.org,2002:map", [])
    return Part(node, "", 1, problems), problems
