"""`restock workspace` and `restock params`: where a run writes, and which values are in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from restock.cli.console import messages, print_json
from restock.params import read_params
from restock.settings import read_settings

workspace_app = typer.Typer(
    help="Folders of their own for runs, beside a checkout that stays clean.", no_args_is_help=True
)


@workspace_app.command("create")
def create(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing, completed if begun.")],
    profile: Annotated[str | None, typer.Option(help="Profile of params.yaml to lay over, such as demo.")] = None,
) -> None:
    """Make FOLDER a workspace with its own params.yaml, data and models.

    Then work in it: cd FOLDER && dvc repro
    """
    from restock.adapters.workspace import create_workspace

    create_workspace(folder, profile=profile)
    messages.print(f"workspace {folder} is ready; next: cd {folder} && dvc repro", highlight=False)


def print_params(
    profile: Annotated[str | None, typer.Option(help="Lay a profile of params.yaml over.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the params in force, checked."""
    values = read_params(read_settings().params_file, profile=profile).model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        typer.echo(yaml.safe_dump(values, sort_keys=False, width=120), nl=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(workspace_app, name="workspace")
    app.command("params")(print_params)
