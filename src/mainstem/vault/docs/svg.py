"""The diagram as SVG: boxes in the shapes of their kinds, each leading to its table, and curves between them."""

from html import escape

from mainstem.vault.docs.describe import Description
from mainstem.vault.docs.layout import HEIGHT, Box, Edge, layout
from mainstem.vault.docs.mermaid import family

_SLANT = 14.0


def svg(description: Description) -> str:
    """Return the SVG element; its colours are CSS classes of the page."""
    placed = layout(description)
    lines = [
        f'<svg viewBox="0 0 {placed.width:.0f} {placed.height:.0f}" style="width:{placed.width:.0f}px" '
        f'role="img" aria-label="{escape(description.title)}">'
    ]
    lines += [_edge(edge) for edge in placed.edges]
    lines += [_box(box) for box in placed.boxes]
    return "\n".join([*lines, "</svg>"])


def _edge(edge: Edge) -> str:
    path = ""
    for (x, y), (right, bottom) in edge.curves:
        middle = (x + right) / 2
        path += f"{'L' if path else 'M'}{x:.1f} {y:.1f}"
        path += f"C{middle:.1f} {y:.1f} {middle:.1f} {bottom:.1f} {right:.1f} {bottom:.1f}"
    return f'<path class="edge {family(edge.one.kind)}" d="{path}"/>'


def _box(box: Box) -> str:
    kind = box.one.kind
    middle = box.x + box.width / 2
    return (
        f'<a href="#{escape(box.one.spec.table)}"><title>{escape(box.one.spec.comment)}</title>'
        f'<g class="box {family(kind)}">{_shape(box)}'
        f'<text class="kind" x="{middle:.1f}" y="{box.y + 17:.1f}">{escape(kind)}</text>'
        f'<text class="name" x="{middle:.1f}" y="{box.y + 34:.1f}">{escape(box.one.spec.name)}</text></g></a>'
    )


def _shape(box: Box) -> str:
    x, y, right, bottom = box.x, box.y, box.x + box.width, box.y + HEIGHT
    match family(box.one.kind):
        case "hub":
            return _rectangle(box, HEIGHT / 2)
        case "link":
            corners = [(x + _SLANT, y), (right - _SLANT, y), (right, box.middle), (right - _SLANT, bottom)]
            return _polygon([*corners, (x + _SLANT, bottom), (x, box.middle)])
        case "fact":
            lean = _SLANT / 2
            return _polygon([(x + lean, y), (right + lean, y), (right - lean, bottom), (x - lean, bottom)])
        case "snapshot":
            inner = [f'<path d="M{x + 6:.1f} {y:.1f}V{bottom:.1f}M{right - 6:.1f} {y:.1f}V{bottom:.1f}"/>']
            return _rectangle(box, 2) + "".join(inner)
        case _:
            return _rectangle(box, 6)


def _rectangle(box: Box, radius: float) -> str:
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{HEIGHT:.0f}" rx="{radius:.0f}"/>'
    )


def _polygon(points: list[tuple[float, float]]) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
