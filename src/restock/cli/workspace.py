"""`restock workspace` and `restock params`: where a run writes, and which values are in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from restock.cli.console import messages, print_json
from restock.errors import ConfigurationError
from restock.params import read_params
from restock.settings import read_settings

workspace_app = typer.Typer(
    help="Folders of their own for runs, beside a checkout that stays clean.", no_args_is_help=True
)


@workspace_app.command("create")
def create(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing, completed if begun.")],
    profile: Annotated[str | None, typer.Option(help="Profile of params.yaml to lay over, such as demo.")] = None,
    home: Annotated[
        Path | None,
        typer.Option("--from", help="Workspace to share batches, cache, models and MLflow runs with: for one run."),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="With --from: a param to change, section.key=value; repeatable.")
    ] = None,
) -> None:
    """Make FOLDER a workspace with its own params.yaml, data and models.

    With --from it is the workspace of a single run: it trains on the batches that HOME has now, and what is promoted
    from it is served from HOME.

    \b
    Examples:
      restock workspace create shop --profile demo
      restock workspace create .runs/more-windows --from . --set backtest.n_windows=5

    Then work in it: cd FOLDER && restock ingest sales.csv && dvc repro
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file, expected a folder or a new name.")
    if home is None and (folder / "params.yaml").is_file():
        messages.print(f"{folder} is a workspace already: its params.yaml and dvc.yaml stay as they are", markup=False)
        return
    if home is None:
        if changes:
            raise ConfigurationError("--set goes with --from HOME. Elsewhere edit FOLDER/params.yaml.")
        from restock.adapters.workspace import create_workspace

        create_workspace(folder, profile=profile)
    else:
        if profile is not None:
            raise ConfigurationError("--profile and --from exclude each other: a run has its home's params.")
        from restock.adapters.run_workspace import create_run_workspace

        create_run_workspace(folder, home=home, changes=changes or [])
    first = "" if home is not None else "restock ingest sales.csv (or: restock ingest demo) && "
    messages.print(f"workspace {folder} is ready; next: cd {folder} && {first}dvc repro", highlight=False, markup=False)


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
