"""The picture of the pipeline, drawn from dvc.yaml: stages, the data between them, and which params each depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from restock.adapters.svg_picture import CODE_CHARACTER, LINE_HEIGHT, PLAIN_CHARACTER, Frame, Picture, wrap_words
from restock.params import PARAMS_FILE, read_param_values

_CODE = "${code}"
_ITEM = "${item}"
_WIDTH, _MARGIN = 720.0, 24.0
_STAGE_WIDTH = 560.0
_DATA_HEIGHT, _CHIP_HEIGHT = 30.0, 26.0
_GAP, _DATA_GAP = 30.0, 16.0
_PADDING = 12.0
# From whatever reaches farthest right to the first edge that goes round it, and from one such edge to the next.
_LANE_GAP = 14.0

_LEGEND = (
    ("box", "stage"),
    ("other", "comes from outside"),
    ("data", "data, kept by DVC"),
    ("metrics", "metrics, kept in git"),
)


@dataclass(frozen=True, kw_only=True)
class PipelineStage:
    """One stage of dvc.yaml; a stage that is repeated for each member stands once."""

    name: str
    command: str
    description: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metrics: tuple[str, ...]
    params: tuple[str, ...]
    members: tuple[str, ...]


def read_pipeline(root: Path) -> tuple[PipelineStage, ...]:
    """Return the stages of a checkout's dvc.yaml, each after those it takes data from; source files are left out."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    values = read_param_values(root / PARAMS_FILE)
    return _in_order([_read_stage(name, stage, values) for name, stage in stages.items()])


def _read_stage(name: str, definition: dict[str, Any], values: dict[str, Any]) -> PipelineStage:
    body, members, shown = definition, (), name
    if "foreach" in definition:
        body = definition["do"]
        found: Any = values
        for key in definition["foreach"].removeprefix("${").removesuffix("}").split("."):
            found = found[key]
        members, shown = tuple(found), f"{name}@<each>"

    def listed(key: str) -> tuple[str, ...]:
        entries = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in body.get(key, ())]
        return tuple(entry.replace(_ITEM, "<each>") for entry in entries if not entry.startswith(_CODE))

    return PipelineStage(
        name=shown,
        command=body["cmd"].replace(_ITEM, "<each>"),
        description=body["desc"],
        inputs=listed("deps"),
        outputs=listed("outs"),
        metrics=listed("metrics"),
        params=listed("params"),
        members=members,
    )


def _in_order(stages: Sequence[PipelineStage]) -> tuple[PipelineStage, ...]:
    """Return the stages so that each comes after those whose output it reads."""
    ordered: list[PipelineStage] = []
    waiting = list(stages)
    while waiting:
        ready = [stage for stage in waiting if not any(feeds(other, stage) for other in waiting if other is not stage)]
        ordered += ready
        waiting = [stage for stage in waiting if stage not in ready]
    return tuple(ordered)


def feeds(source: PipelineStage, target: PipelineStage) -> bool:
    """Return whether `target` reads something that `source` writes."""
    return any(_lies_in(output, path) for output in (*source.outputs, *source.metrics) for path in target.inputs)


def _lies_in(output: str, path: str) -> bool:
    return output == path or output.startswith(f"{path}/")


def draw_pipeline(stages: Sequence[PipelineStage]) -> str:
    """Return the picture as SVG: stages from the top, between them what they read and write."""
    picture = Picture()
    written = {path for stage in stages for path in (*stage.outputs, *stage.metrics)}
    placed: dict[str, Frame] = {}
    y = 20.0
    lane = _first_lane(stages)
    for stage in stages:
        sources = [path for path in stage.inputs if not any(_lies_in(output, path) for output in written)]
        if sources:
            placed |= _draw_data(picture, [(path, "other") for path in sources], y=y)
            y += _DATA_HEIGHT + _GAP
        frame = Frame(x=_MARGIN, y=y, width=_STAGE_WIDTH, height=_stage_height(stage))
        _draw_stage(picture, stage, frame)
        for path in stage.inputs:
            for output, data in placed.items():
                if _lies_in(output, path):
                    lane += _draw_input(picture, data, frame, lane=lane)
        y = frame.bottom + _GAP
        outputs = [(path, "data") for path in stage.outputs] + [(path, "metrics") for path in stage.metrics]
        drawn = _draw_data(picture, outputs, y=y)
        for data in drawn.values():
            start = min(max(data.centre, frame.x + _PADDING), frame.right - _PADDING)
            picture.arrow((start, frame.bottom), (data.centre, data.y))
        placed |= drawn
        y += _DATA_HEIGHT + _GAP
    height = _draw_legend(picture, y=y)
    return picture.render(
        name="pipeline", title="The pipeline", description=_describe(stages), width=_WIDTH, height=height
    )


def _stage_lines(stage: PipelineStage) -> list[str]:
    return wrap_words(stage.description.split(), width=_STAGE_WIDTH - 2 * _PADDING)


def _param_lines(stage: PipelineStage) -> list[str]:
    words = [f"{name}," for name in stage.params[:-1]] + list(stage.params[-1:])
    return wrap_words(["params:", *words], width=_STAGE_WIDTH - 2 * _PADDING, character=CODE_CHARACTER) if words else []


def _stage_height(stage: PipelineStage) -> float:
    lines = 1 + len(_stage_lines(stage)) + len(_param_lines(stage))
    return 2 * _PADDING + lines * LINE_HEIGHT + (_CHIP_HEIGHT + 8 if stage.members else 0)


def _draw_stage(picture: Picture, stage: PipelineStage, frame: Frame) -> None:
    """Draw a stage: its name and command, what it does, its params and its members."""
    picture.box(frame)
    left, y = frame.x + _PADDING, frame.y + _PADDING + 13
    picture.text(stage.name, x=left, y=y, kind="strong", anchor="start")
    picture.text(stage.command, x=frame.right - _PADDING, y=y, kind="code", anchor="end")
    for line in _stage_lines(stage):
        y += LINE_HEIGHT
        picture.text(line, x=left, y=y, anchor="start")
    for line in _param_lines(stage):
        y += LINE_HEIGHT
        picture.text(line, x=left, y=y, kind="code", anchor="start")
    if stage.members:
        width = (frame.width - 2 * _PADDING - 8 * (len(stage.members) - 1)) / len(stage.members)
        for place, member in enumerate(stage.members):
            chip = Frame(x=left + place * (width + 8), y=y + 12, width=width, height=_CHIP_HEIGHT)
            picture.box(chip, kind="chip", radius=13)
            picture.text(member, x=chip.centre, y=chip.y + 17, kind="code")


def _draw_data(picture: Picture, entries: Sequence[tuple[str, str]], *, y: float) -> dict[str, Frame]:
    """Draw files and folders side by side in a row and return where each lies."""
    placed, x = {}, _MARGIN
    for path, kind in entries:
        frame = Frame(x=x, y=y, width=_data_width(path), height=_DATA_HEIGHT)
        picture.box(frame, kind=kind, radius=_DATA_HEIGHT / 2)
        picture.text(path, x=frame.centre, y=y + 19, kind="code")
        placed[path] = frame
        x = frame.right + _DATA_GAP
    return placed


def _first_lane(stages: Sequence[PipelineStage]) -> float:
    """Return where the first edge may run down without crossing any data, in pixels from the left."""
    rows = [(*stage.outputs, *stage.metrics) for stage in stages]
    widths = [sum(_data_width(path) + _DATA_GAP for path in row) - _DATA_GAP for row in rows if row]
    return _MARGIN + max([_STAGE_WIDTH, *widths]) + _LANE_GAP


def _data_width(path: str) -> float:
    return len(path) * CODE_CHARACTER + 2 * _PADDING


def _draw_input(picture: Picture, data: Frame, stage: Frame, *, lane: float) -> float:
    """Draw the edge from data into a stage; one that must pass another row goes down the lane, beside everything.

    Returns:
        How much farther right the next lane lies.
    """
    if stage.y - data.bottom <= _GAP + 1:
        picture.arrow((data.centre, data.bottom), (data.centre, stage.y))
        return 0
    entry = stage.y + stage.height / 2
    start = data.y + data.height / 2
    picture.arrow((data.right, start), (lane, start), (lane, entry), (stage.right, entry))
    return _LANE_GAP


def _draw_legend(picture: Picture, *, y: float) -> float:
    """Draw what the shapes mean and return the height of the picture."""
    x = _MARGIN
    for kind, words in _LEGEND:
        frame = Frame(x=x, y=y, width=26, height=16)
        picture.box(frame, kind=kind, radius=4 if kind == "box" else 8)
        picture.text(words, x=frame.right + 8, y=y + 13, kind="quiet", anchor="start")
        x = frame.right + 8 + len(words) * PLAIN_CHARACTER + 24
    return y + 16 + 20


def _describe(stages: Sequence[PipelineStage]) -> str:
    """Return the picture in sentences."""
    sentences = []
    for stage in stages:
        each = f", once for each of {', '.join(stage.members)}" if stage.members else ""
        sentences.append(
            f"Stage {stage.name}{each}: {stage.description.rstrip('.')}. It reads {', '.join(stage.inputs)} and writes "
            f"{', '.join((*stage.outputs, *stage.metrics))}."
        )
    return " ".join(sentences)
