# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Charts as SVG, readable in light and in dark."""

import math
from html import escape

WIDTH, LABEL, BAR, GAP = 860, 390, 15, 14
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #222 } .title { font-size: 15px; font-weight: 600 }
.a { fill: #2563a8; stroke: #2563a8 } .b { fill: #b5763a; stroke: #b5763a } .c { fill: #3f7f4f; stroke: #3f7f4f }
.d { fill: #8a4f9e; stroke: #8a4f9e } .line { fill: none; stroke-width: 2 } .grid { stroke: #8884; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }
</style>"""


def document(height, *parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n{STYLE}\n'
            + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, anchor="start", css=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{css}">\n{escape(words)}</text>'


def short(value):
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def bars(title, groups):
    """groups: [(name, [(whose, value), …])]; lengths by the logarithm."""
    most = max(value for _, pairs in groups for _, value in pairs)
    room = WIDTH - LABEL - 150

    def length(value):
        return max(1, room * math.log10(max(value, 1)) / math.log10(most))

    parts, y = [text(10, 22, title, css="title")], 40
    for name, pairs in groups:
        parts.append(text(LABEL - 10, y + BAR * len(pairs) / 2 + 4, name, "end"))
        for (whose, value), css in zip(pairs, "abcd"):
            parts.append(f'<rect class="{css}" x="{LABEL}" y="{y}" width="{length(value):.0f}" height="{BAR - 2}"/>')
            parts.append(text(LABEL + length(value) + 6, y + BAR - 4, f"{short(value)} {whose}"))
            y += BAR
        y += GAP
    return document(y, *parts)


def lines(title, unit, curves):
    """curves: [(name, [(x, y), …])]; x by its logarithm, y from 0."""
    left, top, wide, high = 70, 40, WIDTH - 240, 260
    xs = sorted({x for _, points in curves for x, _ in points})
    most = max(y for _, points in curves for _, y in points) * 1.05

    def place(x, y):
        scaled = math.log10(x / xs[0]) / math.log10(xs[-1] / xs[0]) if len(xs) > 1 else 0
        return left + wide * scaled, top + high * (1 - y / most)

    parts = [text(10, 22, f"{title} ({unit})", css="title")]
    for step in range(5):
        y = most * step / 4
        parts.append(f'<path class="grid" d="M{left} {place(xs[0], y)[1]:.0f}h{wide}"/>')
        parts.append(text(left - 8, place(xs[0], y)[1] + 4, short(y), "end"))
    for x in xs:
        parts.append(text(place(x, 0)[0], top + high + 18, short(x), "middle"))
    for (name, points), css in zip(curves, "abcd" * 3):
        path = "\n".join(f"{'ML'[index > 0]}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(place(*p) for p in points))
        parts.append(f'<path class="line {css}" style="fill:none" d="{path}"/>')
        end = place(*points[-1])
        parts.append(text(end[0] + 8, end[1] + 4, name))
    return document(top + high + 34, *parts)
