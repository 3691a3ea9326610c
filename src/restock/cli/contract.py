"""`restock contract`: the documents that follow from the code."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from restock.cli.console import messages
from restock.errors import ConfigurationError

contract_app = typer.Typer(
    help="The documents that are rendered from the code: suites, data dictionary, command reference, pictures.",
    no_args_is_help=True,
)


@contract_app.callback()
def _group() -> None:
    """Keep `render` a command of the group while it is the only one."""


@contract_app.command("render")
def render(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a committed document differs.")
    ] = False,
) -> None:
    """Write the documents that follow from the code, where they differ.

    From src/restock/tables: expectations/*.json and docs/data-dictionary.md. From the commands' help texts:
    docs/guide/commands.md. From the import rules in pyproject.toml and from dvc.yaml: the pictures in
    docs/architecture. From the docstrings in dags: docs/dags. From docs/adr: its index.

    Next: git add expectations docs
    """
    from restock.adapters.contract_documents import find_drift, render_contract, write_documents
    from restock.adapters.guide_documents import render_guide
    from restock.adapters.workspace import project_root

    # The whole command line, whichever part of it was called; it registers this module, so not before.
    from restock.cli.app import app

    root = project_root()
    program = typer.main.get_command(app)
    if not isinstance(program, TyperGroup):
        raise TypeError(f"the command line must be a group, got {program!r}")
    documents = render_contract() | render_guide(root, program=program)
    if check:
        drift = find_drift(root, documents)
        if drift:
            raise ConfigurationError(f"{'; '.join(drift)}. Render them: restock contract render.")
        messages.print("the rendered documents match the code", highlight=False)
        return
    changed = write_documents(root, documents)
    for name in changed:
        messages.print(f"wrote {name}", highlight=False)
    if not changed:
        messages.print("nothing to write: the rendered documents match the code", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(contract_app, name="contract")
