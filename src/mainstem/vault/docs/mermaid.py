"""The model as a Mermaid flowchart: each kind of structure in a shape and colour of its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mainstem.vault.docs.describe import Described, Description, Kind

SHAPES: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType(
    {
        Kind.HUB: ("([", "])"),
        Kind.LINK: ("{{", "}}"),
        Kind.SAME_AS: ("{{", "}}"),
        Kind.FACT: ("[/", "/]"),
        Kind.SATELLITE: ("[", "]"),
        Kind.MULTI_ACTIVE: ("[", "]"),
        Kind.EFFECTIVITY: ("[", "]"),
        Kind.TRACKING: ("[", "]"),
        Kind.EXTENDED: ("[", "]"),
        Kind.POINT_IN_TIME: ("[[", "]]"),
        Kind.BRIDGE: ("[[", "]]"),
    }
)
STYLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hub": "fill:#dbe9ff,stroke:#2f6fdb,color:#12305f",
        "link": "fill:#d9f5e5,stroke:#1d8a55,color:#0d3d26",
        "fact": "fill:#f0e4ff,stroke:#7c4dcc,color:#371a66",
        "satellite": "fill:#fff3d1,stroke:#c58a00,color:#573d00",
        "snapshot": "fill:#eceff3,stroke:#66717f,color:#252c35",
    }
)


def family(kind: Kind) -> str:
    """Return which of STYLES a kind has."""
    match kind:
        case Kind.HUB:
            return "hub"
        case Kind.LINK | Kind.SAME_AS:
            return "link"
        case Kind.FACT:
            return "fact"
        case Kind.POINT_IN_TIME | Kind.BRIDGE:
            return "snapshot"
        case _:
            return "satellite"


def flowchart(description: Description) -> str:
    """Return the text of the diagram, without a fence."""
    lines = ["flowchart LR"]
    lines += [f"  {_node(one)}" for one in description.structures]
    lines += [f"  {_id(one)} --- {_id(other)}" for one, other in description.edges]
    lines += [f"  classDef {name} {style}" for name, style in STYLES.items()]
    return "\n".join(lines) + "\n"


def _node(one: Described) -> str:
    before, after = SHAPES[one.kind]
    return f'{_id(one.spec.table)}{before}"{one.spec.name}"{after}:::{family(one.kind)}'


def _id(table: str) -> str:
    return table.rsplit(".", 1)[-1]
