"""`restock tune`: a family's hyper-parameters searched, and compared with those in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json, show_progress
from restock.forecasting.search_space import SEARCH_SPACES
from restock.params import read_params
from restock.settings import read_settings


def tune(
    families: Annotated[list[str], typer.Argument(help=f"Some of {', '.join(SEARCH_SPACES)}.")],
    *,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="Trials of each family, earlier ones included.")] = 30,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds of each family after which no trial begins.")
    ] = None,
    is_applied: Annotated[
        bool, typer.Option("--apply", help="Write the best values into params.yaml where they are surely better.")
    ] = False,
    queue: Annotated[
        int, typer.Option(min=0, max=100, help="Put so many of the best trials into DVC's queue of experiments.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search the params of FAMILIES; run `dvc repro features` before.

    Trials are judged on windows before the back-test's oldest cutoff. Then the best values and those in force are
    compared on the back-test's own windows, which no trial has seen. Trials that fall behind are stopped early. A
    search that was interrupted goes on where it was: give the same command again. Every trial is a run in MLflow.
    What --queue puts into DVC's queue is trained and evaluated by `dvc queue start`.

    \b
    Examples:
      restock tune xgboost --trials 50
      restock tune xgboost random_forest --timeout 600 --apply
      restock tune xgboost --trials 50 --queue 3
    """  # noqa: D301  (Typer's \b keeps the lines apart)
    from restock.pipeline.tune import require_space, run_tune

    settings = read_settings()
    params = read_params(settings.params_file)
    reports: dict[str, Any] = {}
    for family in [require_space(name) for name in dict.fromkeys(families)]:
        with show_progress(f"tune {family}") as advance:
            reports[family] = run_tune(
                family,
                settings,
                params,
                n_trials=trials,
                timeout_seconds=timeout,
                is_applied=is_applied,
                n_queued=queue,
                on_trial=advance,
            )
    if as_json:
        print_json(reports)
        return
    for name, report in reports.items():
        _print_report(name, report)


def _print_report(family: str, report: dict[str, Any]) -> None:
    """Print the values beside those in force, and what the back-test says of them."""
    table = Table(title=f"{family}: {report['trials']} trials, {report['pruned']} stopped early", title_justify="left")
    for column in ("param", "in force", "best"):
        table.add_column(column, justify="left" if column == "param" else "right")
    for name, value in report["best"].items():
        table.add_row(name, str(report["in_force"][name]), str(value))
    output.print(table)
    outer = report["outer"]
    output.print(
        f"back-test, {len(outer['cutoffs'])} windows no trial has seen: pinball {outer['pinball_in_force']:.4f} -> "
        f"{outer['pinball_best']:.4f} ({outer['relative_difference']:+.1%}, at most {outer['upper']:+.1%} with "
        f"{outer['confidence']:.0%} confidence)",
        highlight=False,
    )
    if report["queued"]:
        messages.print(f"queued: {', '.join(report['queued'])}; next: dvc queue start", highlight=False)
    elif report["is_applied"]:
        messages.print("params.yaml has the new values; next: dvc repro", highlight=False)
    elif outer["relative_difference"] >= 0:
        messages.print("the values in force stay: they are as good or better", highlight=False)
    else:
        messages.print(f"to try them: dvc exp run {report['set']}", highlight=False, markup=False)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("tune")(tune)
