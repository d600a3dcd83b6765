"""The plot of `simulate_cluster`, as SVG: how much a node sends while nothing happens, and how soon all agree.

Pure: figures in, text out. Both panels have logarithmic axes.
"""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

_COLOURS = {"mesh": "#c0392b", "etcd": "#2471a3"}
_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT = 1_000, 460, 70, 50, 340
_TEXT = 'font-family="sans-serif" font-size="12"'


def draw(points: Sequence[tuple[str, int, float, float]], times: Sequence[tuple[str, int, str, float]]) -> str:
    """Returns the SVG. `points` are registry, nodes, messages per node and second, CPU; `times` are registry, nodes,
    scenario, seconds.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_lines(points),
        *_bars(times),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(points: Sequence[tuple[str, int, float, float]]) -> list[str]:
    values = [max(messages, 0.01) for _, _, messages, _ in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    sizes = sorted({nodes for _, nodes, _, _ in points})
    first, last = math.log10(sizes[0]), max(math.log10(sizes[-1]), math.log10(sizes[0]) + 0.1)

    def x(nodes: int) -> float:
        return _LEFT + (math.log10(nodes) - first) / (last - first) * _PLOT

    def y(value: float) -> float:
        return _TOP + _PLOT - (math.log10(max(value, 0.01)) - low) / max(high - low, 1) * _PLOT

    parts = [_text(_LEFT, 30, "Messages per node and second while nothing happens (CPU of a core)")]
    parts += [_rule(_LEFT, y(10.0**power), f"{10.0**power:g}") for power in range(low, high + 1)]
    parts += [_text(x(nodes), _TOP + _PLOT + 20, f"{nodes:,} nodes", "middle") for nodes in sizes]
    for registry, colour in _COLOURS.items():
        own = sorted((nodes, messages, cpu) for name, nodes, messages, cpu in points if name == registry)
        path = " ".join(f"{x(nodes):.1f},{y(messages):.1f}" for nodes, messages, _ in own)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for nodes, messages, cpu in own:
            parts.append(f'<circle cx="{x(nodes):.1f}" cy="{y(messages):.1f}" r="4" fill="{colour}"/>')
            parts.append(
                _text(x(nodes) + 8, y(messages) + 16, f"{registry} {messages:.3g} ({cpu:.2g} %)", "start", colour)
            )
    return parts


def _bars(times: Sequence[tuple[str, int, str, float]]) -> list[str]:
    left, scenarios = 540, list(dict.fromkeys(scenario for _, _, scenario, _ in times))
    sizes = sorted({nodes for _, nodes, _, _ in times})
    parts = [_text(left, 30, f"Seconds until all nodes agree ({', '.join(f'{size:,}' for size in sizes)} nodes)")]
    height = _PLOT / max(len(scenarios), 1)
    room = _WIDTH - left - 220

    def length(seconds: float) -> float:
        shown = min(max(seconds, 0.01), 100.0)
        return (math.log10(shown) + 2) / 4 * room

    for row, scenario in enumerate(scenarios):
        top = _TOP + row * height
        parts.append(_text(left, top + height / 2 + 4, scenario))
        own = [(registry, nodes, seconds) for registry, nodes, name, seconds in times if name == scenario]
        thick = (height - 6) / max(len(own), 1)
        for number, (registry, _, seconds) in enumerate(sorted(own, key=lambda one: (one[0], one[1]))):
            y, shown = top + number * thick, f"{seconds:.3g}" if seconds < math.inf else "never"
            parts.append(
                f'<rect x="{left + 170}" y="{y:.1f}" width="{length(seconds):.1f}" height="{thick - 1:.1f}" '
                f'fill="{_COLOURS[registry]}" fill-opacity="0.7"><title>{registry} {shown} s</title></rect>'
            )
            if thick > 7:
                parts.append(_text(left + 175 + length(seconds), y + thick - 1, shown, size=8))
    parts.append(_text(left, _TOP + _PLOT + 20, "0.01 to 100 s, logarithmic; red: mesh, blue: etcd"))
    return parts


def _rule(left: float, y: float, label: str) -> str:
    line = f'<line x1="{left}" x2="{left + _PLOT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
    return line + _text(left - 6, y + 4, label, "end")


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#222", size: int = 12) -> str:
    style = _TEXT.replace('"12"', f'"{size}"')
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {style}>{escape(text)}</text>'
