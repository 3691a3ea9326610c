"""The `restock` command: its groups, its global options, and the one place where errors become exit codes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from restock.cli import (
    bench,
    benchmark,
    contract,
    daily,
    demo,
    erp,
    explain,
    ingest,
    ledger,
    models,
    replenish,
    serve,
    services,
    stages,
    stock,
    token,
    tune,
    user,
    workspace,
)
from restock.cli.console import print_error
from restock.errors import RestockError
from restock.settings import read_settings

app = typer.Typer(
    name="restock",
    help="Plan a retailer's or distributor's stock: ingest sales, train and promote forecasts, serve them.",
    epilog="Start with `make demo`. RESTOCK_* variables say where things run; params.yaml holds what changes results.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"restock {version('restock')}")
        raise typer.Exit


@app.callback()
def configure(
    version: Annotated[  # noqa: ARG001  (its callback does the work)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and debug logs.", envvar="RESTOCK_DEBUG")
    ] = False,
) -> None:
    """Set up logging once, for whatever command follows."""
    os.environ["RESTOCK_DEBUG"] = "1" if debug else "0"
    settings = read_settings()
    # Keras reads the variable as it is imported, which no command has done yet.
    os.environ["KERAS_BACKEND"] = settings.keras_backend
    level = "DEBUG" if debug else settings.log_level
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("restock").setLevel(level)


ingest.register(app)
stages.register(app)
tune.register(app)
daily.register(app)
explain.register(app)

serve.register(app)
token.register(app)
user.register(app)
contract.register(app)
workspace.register(app)
demo.register(app)
models.register(app)
replenish.register(app)
ledger.register(app)
erp.register(app)
stock.register(app)
services.register(app)
bench.register(app)
benchmark.register(app)


def main() -> None:
    """Run the command; a RestockError prints its message and exits with its code, without a traceback."""
    # XGBoost's idle threads spin by default: with more busy processes than cores they starve each other (a back-test of
    # 3 s took 40 s). The variable is read when the library is loaded: set before any command, inherited by children.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        # Typer itself ends the process: with 0, with a command's own code, or with 2 after a usage error.
        app()
    except RestockError as error:
        if os.environ.get("RESTOCK_DEBUG") == "1":
            raise
        print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
