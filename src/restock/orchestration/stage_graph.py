"""The training graph as dvc.yaml has it: which stages there are and which follows which. No Airflow here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from restock.errors import ConfigurationError

_REFERENCE = re.compile(r"\$\{([^}]+)\}")
_ITEM = "item"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage, a member of a `foreach` being a stage of its own.

    Attributes:
        name: as `dvc repro` takes it, such as `train@xgboost`.
        item: what `${item}` stands for; None outside a `foreach`.
        description: the stage's `desc`.
        upstream: names of the stages whose outputs it reads.
    """

    name: str
    item: str | None
    description: str
    upstream: tuple[str, ...]


def read_stage_graph(pipeline: Path, *, params: Mapping[str, Any], final: str) -> tuple[Stage, ...]:
    """Return the stage `final` and all it depends on, in an order in which they can run.

    Args:
        pipeline: a dvc.yaml.
        params: values of params.yaml, for the `${...}` in it.
        final: name of the last stage.

    Raises:
        ConfigurationError: the file is not a pipeline, a reference can't be resolved, or there is no stage `final`.
    """
    try:
        document = yaml.safe_load(pipeline.read_text(encoding="utf-8"))
        declared = document["stages"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{pipeline} is not a DVC pipeline: {error!r}.") from error
    values = dict(params)
    for entry in document.get("vars", []):
        if isinstance(entry, dict):
            values |= entry
    expanded = [
        (name, item, body) for key, stage in declared.items() for name, item, body in _expand(key, stage, values)
    ]
    produced = {path: name for name, _, body in expanded for path in _paths(body, ("outs", "metrics", "plots"))}
    stages = {
        name: Stage(
            name=name,
            item=item,
            description=str(body.get("desc", "")),
            upstream=tuple(
                sorted({maker for dep in _paths(body, ("deps",)) for maker in _makers(dep, produced)} - {name})
            ),
        )
        for name, item, body in expanded
    }
    if final not in stages:
        raise ConfigurationError(f"{pipeline} has no stage {final!r}, has {', '.join(stages)}.")
    return _ordered(stages, final)


def _expand(key: str, stage: Mapping[str, Any], values: Mapping[str, Any]) -> Iterable[tuple[str, str | None, Any]]:
    """Yield a stage, or every member of a `foreach`, with its references resolved."""
    if "foreach" not in stage:
        yield key, None, _resolve(stage, values)
        return
    for item in _resolve(stage["foreach"], values):
        yield f"{key}@{item}", str(item), _resolve(stage["do"], {**values, _ITEM: item})


def _resolve(value: Any, values: Mapping[str, Any]) -> Any:
    """Return `value` with every `${a.b}` replaced; a string that is one reference takes its value's type."""
    if isinstance(value, dict):
        return {_resolve(key, values): _resolve(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole[1], values)
    return _REFERENCE.sub(lambda match: str(_look_up(match[1], values)), value)


def _look_up(path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for key in path.split("."):
        try:
            found = found[key]
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"dvc.yaml refers to ${{{path}}}, which params.yaml does not have.") from error
    return found


def _paths(body: Mapping[str, Any], sections: tuple[str, ...]) -> list[str]:
    """Return the paths named in some sections of a stage; an entry with options is a mapping of one key."""
    entries = [entry for section in sections for entry in body.get(section, [])]
    return [str(next(iter(entry)) if isinstance(entry, dict) else entry) for entry in entries]


def _makers(path: str, produced: Mapping[str, str]) -> set[str]:
    """Return the stages that produce `path`, something inside it, or a folder that holds it."""
    wanted = Path(path)
    return {
        name
        for out, name in produced.items()
        if wanted == Path(out) or wanted in Path(out).parents or Path(out) in wanted.parents
    }


def _ordered(stages: Mapping[str, Stage], final: str) -> tuple[Stage, ...]:
    """Return a stage after everything it depends on, each once."""
    ordered: dict[str, Stage] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        for before in stages[name].upstream:
            visit(before)
        ordered[name] = stages[name]

    visit(final)
    return tuple(ordered.values())
