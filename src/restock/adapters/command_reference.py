"""The page of all commands, rendered from the command line itself, so that it can't say anything else."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from typer.core import TyperArgument, TyperGroup, TyperOption

from restock.errors import RestockError

_PROGRAM = "restock"
# A paragraph such as "Next: dvc repro": words, then what to type.
_SAMPLE = re.compile(r"^(?P<words>[^:`.]+): (?P<line>(?:restock|dvc|git|curl|cd|make|mlflow) .+)$")
_KEEPS_LINES = "\b"
_TYPE_WORDS: dict[type, str] = {Path: "PATH", int: "NUMBER", float: "NUMBER", datetime: "DATE"}


def render_command_reference(program: TyperGroup) -> str:
    """Return the reference of every command that is not hidden, as Markdown.

    Args:
        program: the whole command line.
    """
    commands = list(_walk(program, _PROGRAM))
    lines = [
        "# Commands",
        "",
        "Rendered from the help texts in `src/restock/cli/` by `restock contract render`; change them there. Every",
        "command shows the same with `--help`. Those with `--json` print one JSON value on standard output; messages",
        "go to standard error.",
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [{name}](#{name.replace(' ', '-')}) | {_cell(_summary(command))} |" for name, command in commands),
        "",
        "## Options of every command",
        "",
        f"They stand before the command: `{_PROGRAM} --debug ingest sales.csv`.",
        "",
        *_parameter_table(program),
        "## Exit codes",
        "",
        "| code | when |",
        "|---|---|",
        "| 0 | It worked. |",
        *(f"| {code} | {_cell(' '.join(meanings))} |" for code, meanings in _exit_codes().items()),
        "",
    ]
    for name, command in commands:
        lines += [f"## {name}", "", f"    {_usage(name, command)}", "", *_help_lines(command.help or "")]
        lines += _parameter_table(command)
    return "\n".join(lines).rstrip("\n") + "\n"


def _walk(group: TyperGroup, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield every visible command with its full name, those of a group in the group's place."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, TyperGroup):
            yield from _walk(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _exit_codes() -> dict[int, list[str]]:
    """Return what each exit code means: the first lines of the errors that give it; 1 is every other error."""
    codes: dict[int, list[str]] = {1: ["Anything else that went wrong; the message says what."]}
    waiting = [RestockError]
    while waiting:
        for error in waiting.pop(0).__subclasses__():
            waiting.append(error)
            # An error of some other module is known only where that module was imported.
            if "exit_code" in vars(error) and error.__module__ == RestockError.__module__:
                codes.setdefault(error.exit_code, []).append(inspect.getdoc(error) or error.title)
    return dict(sorted(codes.items()))


def _summary(command: Any) -> str:
    """Return the first paragraph of a command's help, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def _help_lines(text: str) -> list[str]:
    """Return a help text as Markdown: what is to be typed as code, the rest as paragraphs."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith(_KEEPS_LINES):
            title, *samples = paragraph.removeprefix(_KEEPS_LINES).strip("\n").split("\n")
            lines += [_prose(title), "", *(f"    {sample.strip()}" for sample in samples), ""]
            continue
        joined = " ".join(paragraph.split())
        sample = _SAMPLE.match(joined)
        if sample:
            lines += [f"{_prose(sample['words'])}:", "", f"    {sample['line']}", ""]
        else:
            lines += [_prose(joined), ""]
    return lines


def _parameter_table(command: Any) -> list[str]:
    """Return a table of a command's arguments and options; nothing where it has none."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    if not shown:
        return []
    types = get_type_hints(command.callback) if command.callback else {}
    lines = ["| argument or option | meaning | default |", "|---|---|---|"]
    for parameter in shown:
        kind = _plain_type(types.get(parameter.name, str))
        lines.append(f"| {_spelling(parameter, kind)} | {_cell(_meaning(parameter, kind))} | {_default(parameter)} |")
    return [*lines, ""]


def _plain_type(annotation: Any) -> Any:
    """Return the type of one value: without `None` and without the list around it."""
    if get_origin(annotation) is list:
        return _plain_type(get_args(annotation)[0])
    options = [each for each in get_args(annotation) if each is not NoneType]
    return _plain_type(options[0]) if NoneType in get_args(annotation) and options else annotation


def _spelling(parameter: TyperArgument | TyperOption, kind: Any) -> str:
    """Return how a parameter is written on the command line."""
    if isinstance(parameter, TyperArgument):
        return f"`{_argument_name(parameter)}`"
    value = "" if kind is bool else f" {_TYPE_WORDS.get(kind, 'TEXT')}"
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}{value}`" for name in names)


def _argument_name(parameter: TyperArgument) -> str:
    return (parameter.metavar or str(parameter.name).upper()).strip("[].")


def _meaning(parameter: TyperArgument | TyperOption, kind: Any) -> str:
    """Return what a parameter is for, with the values it may have."""
    words = [parameter.help or ""]
    if isinstance(kind, type) and issubclass(kind, Enum):
        words.append(f"One of {', '.join(str(each.value) for each in kind)}.")
    lowest, highest = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if lowest is not None and highest is not None:
        words.append(f"From {lowest} to {highest}.")
    elif lowest is not None:
        words.append(f"At least {lowest}.")
    if parameter.envvar:
        words.append(f"Variable: `{parameter.envvar}`.")
    return " ".join(words).strip()


def _default(parameter: TyperArgument | TyperOption) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value in (None, False, (), []) or callable(value) else f"`{value}`"


def _usage(name: str, command: Any) -> str:
    """Return the line that shows how a command is called."""
    words = [name]
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            shown = _argument_name(parameter) + ("..." if parameter.nargs == -1 else "")
            words.append(shown if parameter.required else f"[{shown}]")
    if any(isinstance(parameter, TyperOption) for parameter in command.params):
        words.append("[OPTIONS]")
    return " ".join(words)


def _prose(text: str) -> str:
    """Return plain words as Markdown that shows them as they are; code in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<\[\]])", r"\\\1", part) for part in parts)


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")
