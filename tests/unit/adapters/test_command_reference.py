from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer

from restock.adapters.command_reference import render_command_reference


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def build_program() -> typer.Typer:
    program = typer.Typer()
    group = typer.Typer()

    @program.callback()
    def configure(debug: Annotated[bool, typer.Option("--debug", help="Show more.", envvar="A_DEBUG")] = False) -> None:
        """The program."""

    @program.command("paint")
    def paint(
        files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="What to paint.")] = None,
        colour: Annotated[Colour, typer.Option(help="Which | one.")] = Colour.RED,
        layers: Annotated[int | None, typer.Option(min=1, max=3, help="How many.")] = None,
        name: Annotated[str, typer.Option(help="Whose <it> is.")] = ...,
        wet: Annotated[bool, typer.Option("--wet/--dry", help="How.")] = True,
    ) -> None:
        """Paint FILES, or *.txt.

        \b
        Examples:
          restock paint a b
          restock paint --wet

        Next: restock dry --all
        """

    @program.command("secret", hidden=True)
    def secret() -> None:
        """Nobody sees it."""

    @group.command("one")
    def one(what: Annotated[str, typer.Argument(help="What.")]) -> None:
        """Do one thing. Every use needs a token: restock token create."""

    program.add_typer(group, name="group")
    return program


@pytest.fixture(scope="module")
def page():
    return render_command_reference(typer.main.get_command(build_program()))


@pytest.mark.parametrize(
    "line",
    [
        "| [restock paint](#restock-paint) | Paint FILES, or \\*.txt. |",
        "| `--debug` | Show more. Variable: `A_DEBUG`. |  |",
        "    restock paint [FILE...] [OPTIONS]",
        "| `FILE` | What to paint. |  |",
        "| `--colour TEXT` | Which \\| one. One of red, blue. | `red` |",
        "| `--layers NUMBER` | How many. From 1 to 3. |  |",
        "| `--name TEXT` | Whose \\<it> is. | required |",
        "| `--wet`, `--dry` | How. | `True` |",
        "    restock paint --wet",
        "    restock dry --all",
        "## restock group one",
        "    restock group one WHAT",
        "Do one thing. Every use needs a token: restock token create.",
    ],
)
def test_render_command_reference_holds(page, line):
    assert line in page.splitlines()


def test_render_command_reference_hidden_command_is_left_out(page):
    assert "secret" not in page


def test_render_command_reference_exit_codes_are_those_of_the_errors(page):
    rows = [line.split(" | ")[0] for line in page.split("## Exit codes")[1].split("## ")[0].splitlines() if "|" in line]
    assert rows[2:] == ["| 0", "| 1", "| 2", "| 3", "| 4", "| 5", "| 75"]


def test_render_command_reference_does_not_depend_on_the_terminal(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert render_command_reference(typer.main.get_command(build_program())) == page
