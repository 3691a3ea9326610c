"""Plain SVG of boxes, labels and arrows: light and dark, with a description for those who can't see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

# Pixels a character takes on average: enough to tell how long a text gets without measuring fonts.
PLAIN_CHARACTER = 7.4
CODE_CHARACTER = 7.3
LINE_HEIGHT = 18.0

# Colours keep a contrast of at least 4.5:1 between text and its ground, in both schemes.
_STYLE = """
.ground { fill: #ffffff; }
.box { fill: #e8eef7; stroke: #33507a; }
.data { fill: #f4f1e4; stroke: #6b5d1f; }
.metrics { fill: #ffffff; stroke: #6b5d1f; stroke-dasharray: 5 3; }
.other { fill: #e6f2ea; stroke: #2c6a45; }
.chip { fill: #ffffff; stroke: #33507a; }
.arrow { fill: none; stroke: #4a5260; stroke-width: 1.5; }
.head { fill: #4a5260; }
text { fill: #1a212c; font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
.strong { font-weight: 600; }
.code { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.quiet { fill: #4a5260; font-size: 13px; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #161b22; }
  .box { fill: #22304a; stroke: #8fb2e8; }
  .data { fill: #37321a; stroke: #d6c56a; }
  .metrics { fill: #161b22; stroke: #d6c56a; }
  .other { fill: #1d3527; stroke: #7fcf9f; }
  .chip { fill: #161b22; stroke: #8fb2e8; }
  .arrow { stroke: #aab4c3; }
  .head { fill: #aab4c3; }
  text { fill: #e8edf4; }
  .quiet { fill: #b9c2cf; }
}
""".strip()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a box lies, in pixels from the top left."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        """The middle from left to right."""
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height


@dataclass
class Picture:
    """A drawing under way: what was drawn, in order."""

    parts: list[str] = field(default_factory=list)

    def box(self, frame: Frame, *, kind: str = "box", radius: float = 6) -> None:
        """Draw a rectangle; `kind` is one of the style's classes."""
        self.parts.append(
            f'<rect class="{kind}" x="{frame.x:g}" y="{frame.y:g}" width="{frame.width:g}" height="{frame.height:g}" '
            f'rx="{radius:g}"/>'
        )

    def text(self, words: str, *, x: float, y: float, kind: str = "", anchor: str = "middle") -> None:
        """Write one line; y is its base line."""
        style = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text{style} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through the points, with a head at the last one."""
        drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<polyline class="arrow" points="{drawn}" marker-end="url(#head)"/>')

    def render(self, *, name: str, title: str, description: str, width: float, height: float) -> str:
        """Return the whole SVG.

        Args:
            name: prefix of the ids, so that two pictures may stand in one page.
            title: what it shows, in a few words.
            description: the same as the picture in sentences.
            width: of the picture, pixels.
            height: of the picture, pixels.
        """
        head = (
            '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
            '<path class="head" d="M0,0 L10,5 L0,10 z"/></marker>'
        )
        ground = Frame(x=0, y=0, width=width, height=height)
        drawing = Picture()
        drawing.box(ground, kind="ground", radius=0)
        opening = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img" aria-labelledby="{name}-title {name}-description">'
        )
        return "\n".join(
            [
                opening,
                f'<title id="{name}-title">{escape(title)}</title>',
                f'<desc id="{name}-description">{escape(description)}</desc>',
                f"<style>\n{_STYLE}\n</style>",
                f"<defs>{head}</defs>",
                *drawing.parts,
                *self.parts,
                "</svg>\n",
            ]
        )


def wrap_words(words: Sequence[str], *, width: float, character: float = PLAIN_CHARACTER) -> list[str]:
    """Return words as lines no wider than `width` pixels; a longer word stands on a line of its own."""
    lines: list[str] = []
    for word in words:
        if lines and (len(lines[-1]) + 1 + len(word)) * character <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
