"""`restock contract`: the documents that follow from the table declarations."""

from __future__ import annotations

from typing import Annotated

import typer

from restock.cli.console import messages
from restock.errors import ConfigurationError

contract_app = typer.Typer(
    help="Expectation suites and data dictionary, rendered from the tables.", no_args_is_help=True
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
    """Write expectations/*.json and docs/data-dictionary.md from src/restock/tables.py.

    Next, after a change of a table: git add expectations docs/data-dictionary.md
    """
    from restock.adapters.contract_documents import find_drift, write_contract
    from restock.adapters.workspace import project_root

    root = project_root()
    if check:
        drift = find_drift(root)
        if drift:
            raise ConfigurationError(f"{'; '.join(drift)}. Render them: restock contract render.")
        messages.print("the rendered documents match the tables", highlight=False)
        return
    changed = write_contract(root)
    for name in changed:
        messages.print(f"wrote {name}", highlight=False)
    if not changed:
        messages.print("nothing to write: the rendered documents match the tables", highlight=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(contract_app, name="contract")
