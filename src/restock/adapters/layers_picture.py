"""The picture of packages and layers, drawn from the import rules in pyproject.toml that `lint-imports` enforces."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from restock.adapters.svg_picture import LINE_HEIGHT, PLAIN_CHARACTER, Frame, Picture, wrap_words
from restock.errors import ConfigurationError

_PACKAGE = "restock"
_WIDTH, _MARGIN = 860.0, 24.0
_STACK_WIDTH = 560.0
_ROW_HEIGHT, _ROW_GAP, _SIBLING_GAP = 34.0, 20.0, 12.0
_HEADING_HEIGHT = 48.0


@dataclass(frozen=True, kw_only=True)
class ForbiddenImports:
    """One rule that some packages may not import some modules."""

    name: str
    sources: tuple[str, ...]
    forbidden: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImportRules:
    """Who may import whom.

    Attributes:
        layers: from the top; packages of one layer don't see one another.
        forbidden: what is forbidden beside that.
    """

    layers: tuple[tuple[str, ...], ...]
    forbidden: tuple[ForbiddenImports, ...]

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages and root modules, from the top."""
        return tuple(package for layer in self.layers for package in layer)


def read_import_rules(root: Path) -> ImportRules:
    """Return the import rules of a checkout.

    Raises:
        ConfigurationError: pyproject.toml holds no layers.
    """
    path = root / "pyproject.toml"
    contracts = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    if len(layers) != 1:
        raise ConfigurationError(f"{path} must hold one import-linter contract of type layers, got {len(layers)}.")
    return ImportRules(
        layers=tuple(tuple(name.strip() for name in layer.split("|")) for layer in layers[0]),
        forbidden=tuple(
            ForbiddenImports(
                name=contract["name"],
                sources=tuple(contract["source_modules"]),
                forbidden=tuple(contract["forbidden_modules"]),
            )
            for contract in contracts
            if contract["type"] == "forbidden"
        ),
    )


def draw_layers(rules: ImportRules) -> str:
    """Return the picture as SVG: the layers from the top, who reaches in from outside, and the rules in words."""
    picture = Picture()
    rows = _draw_stack(picture, rules)
    for outside, layer in _outside_packages(rules).items():
        _draw_outside(picture, outside, row=rows[layer])
    height = _write_rules(picture, rules, y=rows[-1].bottom + 40)
    return picture.render(
        name="layers",
        title="Packages and layers",
        description=_describe(rules),
        width=_WIDTH,
        height=height,
    )


def _draw_stack(picture: Picture, rules: ImportRules) -> list[Frame]:
    """Draw the layers and return the frame of each row."""
    picture.text(f"{_PACKAGE}: top may import down", x=_MARGIN, y=30, kind="strong", anchor="start")
    rows: list[Frame] = []
    above: list[Frame] = []
    for place, layer in enumerate(rules.layers):
        y = _HEADING_HEIGHT + place * (_ROW_HEIGHT + _ROW_GAP)
        width = (_STACK_WIDTH - _SIBLING_GAP * (len(layer) - 1)) / len(layer)
        boxes = []
        for column, package in enumerate(layer):
            frame = Frame(x=_MARGIN + column * (width + _SIBLING_GAP), y=y, width=width, height=_ROW_HEIGHT)
            picture.box(frame)
            picture.text(package, x=frame.centre, y=y + 22, kind="strong")
            boxes.append(frame)
        for frame in max(boxes, above, key=len) if above else []:
            picture.arrow((frame.centre, y - _ROW_GAP), (frame.centre, y))
        above = boxes
        row = Frame(x=_MARGIN, y=y, width=_STACK_WIDTH, height=_ROW_HEIGHT)
        rows.append(row)
    return rows


def _outside_packages(rules: ImportRules) -> dict[str, int]:
    """Return the packages beside ours that import from it, each with the highest layer that it may reach."""
    reached: dict[str, int] = {}
    for rule in rules.forbidden:
        banned = {name.removeprefix(f"{_PACKAGE}.") for name in rule.forbidden if name.startswith(f"{_PACKAGE}.")}
        lowest = max((n for n, layer in enumerate(rules.layers) if banned & set(layer)), default=None)
        for source in rule.sources:
            if source.split(".")[0] != _PACKAGE and lowest is not None:
                reached[source] = max(reached.get(source, 0), lowest + 1)
    return reached


def _draw_outside(picture: Picture, name: str, *, row: Frame) -> None:
    """Draw a package beside the stack, with an arrow to the highest layer it may import."""
    frame = Frame(x=row.right + 90, y=row.y, width=_WIDTH - _MARGIN - row.right - 90, height=row.height)
    picture.box(frame, kind="other")
    picture.text(name, x=frame.centre, y=frame.y + 22, kind="strong")
    picture.arrow((frame.x, frame.y + frame.height / 2), (row.right, row.y + row.height / 2))
    picture.text("and below", x=row.right + 45, y=row.y + row.height / 2 - 8, kind="quiet")


def _write_rules(picture: Picture, rules: ImportRules, *, y: float) -> float:
    """Write every forbidding rule under the stack and return the height of the picture."""
    for rule in rules.forbidden:
        picture.text(rule.name, x=_MARGIN, y=y, kind="strong", anchor="start")
        y += LINE_HEIGHT
        for line in wrap_words(_sentence(rule, rules).split(), width=_WIDTH - 2 * _MARGIN, character=PLAIN_CHARACTER):
            picture.text(line, x=_MARGIN, y=y, kind="quiet", anchor="start")
            y += LINE_HEIGHT
        y += LINE_HEIGHT / 2
    return y


def _sentence(rule: ForbiddenImports, rules: ImportRules) -> str:
    """Return a rule in words, short where it holds for nearly all packages."""
    sources = {source.removeprefix(f"{_PACKAGE}.") for source in rule.sources}
    exempt = [package for package in rules.packages if package not in sources]
    outside = [source for source in rule.sources if source.split(".")[0] != _PACKAGE]
    if len(exempt) < len(rules.packages) / 2:
        who = f"All of {_PACKAGE} but {' and '.join(exempt)}" + "".join(f", and {each}" for each in outside)
    else:
        who = ", ".join(source.removeprefix(f"{_PACKAGE}.") for source in rule.sources)
    return f"{who}: no import of {', '.join(rule.forbidden)}."


def _describe(rules: ImportRules) -> str:
    """Return the picture in sentences."""
    rows = "; ".join(" beside ".join(layer) for layer in rules.layers)
    words = [f"The layers of {_PACKAGE} from the top, where each may import those after it: {rows}."]
    for outside, layer in _outside_packages(rules).items():
        words.append(f"{outside} stands outside and imports {' and '.join(rules.layers[layer])} and what is below.")
    words += [f"{rule.name}. {_sentence(rule, rules)}" for rule in rules.forbidden]
    return " ".join(words)
