"""The pipeline's stages as commands: what `dvc.yaml` runs, and anyone may run by hand."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json, show_progress
from restock.errors import ConfigurationError
from restock.params import FamilyName, read_params
from restock.settings import read_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def features(as_json: Json = False) -> None:
    """Compute what is known about every series at every period, from the validated tables."""
    from restock.pipeline.features import run_features

    settings = read_settings()
    rows = run_features(settings.data_dir, read_params(settings.params_file))
    if as_json:
        print_json({"rows": rows})
    else:
        messages.print(f"features: {rows:,} rows", highlight=False)


def train(
    family: Annotated[str, typer.Argument(help=f"One of {', '.join(get_args(FamilyName))}.")], as_json: Json = False
) -> None:
    """Back-test FAMILY over the cutoffs, then fit it on all data."""
    if family not in get_args(FamilyName):
        raise ConfigurationError(f"family must be one of {', '.join(get_args(FamilyName))}, got {family!r}.")
    from restock.pipeline.train import run_train

    settings = read_settings()
    params = read_params(settings.params_file)
    with show_progress(f"train {family}") as advance:
        metrics = run_train(family, settings, params, on_progress=advance)  # type: ignore[arg-type]  # checked above
    if as_json:
        print_json({"family": family, **metrics})
    else:
        messages.print(f"{family}: pinball {metrics['pinball']:.4f}, WAPE {metrics['wape']:.1%}", highlight=False)


def combine(as_json: Json = False) -> None:
    """Weight the trained families, segment by segment, into an ensemble: a candidate as any other."""
    from restock.pipeline.combine import run_combine

    settings = read_settings()
    combined = run_combine(settings, read_params(settings.params_file))
    if as_json:
        print_json(combined)
    else:
        metrics, weights = combined["metrics"], combined["weights"]["all"]
        named = ", ".join(f"{family} {weight:.0%}" for family, weight in weights.items())
        messages.print(
            f"ensemble: pinball {metrics['pinball']:.4f}, WAPE {metrics['wape']:.1%} ({named})", highlight=False
        )


def evaluate(as_json: Json = False) -> None:
    """Score the families beside seasonal naive, draw the plots, and name the candidate for promotion."""
    from restock.pipeline.evaluate import run_evaluate

    settings = read_settings()
    metrics = run_evaluate(settings, read_params(settings.params_file))
    if as_json:
        print_json(metrics)
    else:
        print_comparison(metrics["families"], windows=metrics["windows"])
        _print_sums(metrics["paths"])


def optimize(as_json: Json = False) -> None:
    """Tune the planner's policy by simulated money and judge it beside the classical rules.

    Each rule trades again in the back-test's windows, on forecasts that did not know them. The policy is tuned on the
    earlier windows and judged on the later ones. Next: restock promote optimization --reason ...
    """
    from restock.pipeline.optimize import run_optimize

    settings = read_settings()
    with show_progress("simulate") as advance:
        metrics = run_optimize(settings, read_params(settings.params_file), on_progress=advance)
    if as_json:
        print_json(metrics)
    elif metrics["is_available"]:
        print_rules(metrics)
    else:
        output.print(f"nothing to tune: {metrics['reason']}", highlight=False)


def print_rules(metrics: dict[str, Any]) -> None:
    """Print what every rule cost, and where the planner's cost comes from."""
    table = Table(title=f"Cost of {metrics['judged_periods']} periods, currency", title_justify="left")
    table.add_column("rule", no_wrap=True)
    parts = ("cost", "holding", "shortage", "ordering", "waste")
    for heading in (*parts, "fill rate", "stock value"):
        table.add_column(heading, justify="right")
    for rule, values in metrics["rules"].items():
        figures = [f"{values[name]:,.0f}" for name in parts]
        style = "bold green" if rule == "planner" else None
        table.add_row(rule, *figures, f"{values['fill_rate']:.1%}", f"{values['on_hand_value']:,.0f}", style=style)
    output.print(table)
    change = metrics["change_against_best_classical"]
    output.print(
        f"planner: {change:+.1%} against {metrics['best_classical']}, the cheapest classical rule", highlight=False
    )
    gap = metrics["gap"]
    output.print(
        f"of its cost, {gap['forecast_error']:,.0f} come from not knowing demand, {gap['lead_times']:,.0f} from lead "
        f"times, {gap['minimums_and_multiples']:,.0f} from minimums and multiples, {gap['policy']:,.0f} from the rule "
        f"itself; no orders cost less than {gap['clairvoyant_bound']:,.0f}",
        highlight=False,
    )


def _print_sums(paths: dict[str, Any]) -> None:
    """Print how often sums over the longest span lay within the central 80 % of their paths."""
    if not paths:
        return
    learned, alone = (paths[name]["series"] for name in ("dependence", "independence"))
    span = max(learned, key=int)
    output.print(
        f"sums over {span} periods within the central 80 % of their paths: {learned[span]['coverage_80']:.1%} "
        f"({alone[span]['coverage_80']:.1%} as if days were independent)",
        highlight=False,
    )


def print_comparison(families: dict[str, dict[str, float]], *, windows: dict[str, dict[str, float]]) -> None:
    """Print each family's metrics, best first, with their spread over windows and the change against seasonal naive."""
    naive = families["seasonal_naive"]["pinball"]
    table = Table(title="Back-test over all windows, best first", title_justify="left")
    table.add_column("family", no_wrap=True)
    columns = {
        "pinball": ("pinball", "{:.3f}"),
        "wape": ("WAPE", "{:.1%}"),
        "rmsse": ("RMSSE", "{:.3f}"),
        "bias": ("bias", "{:+.1%}"),
        "coverage_80": ("in 80 % band", "{:.1%}"),
    }
    for heading, _ in columns.values():
        table.add_column(heading, justify="right")
    table.add_column("sd over windows", justify="right")
    table.add_column("pinball vs naive", justify="right")
    ranked = sorted(families.items(), key=lambda pair: pair[1]["pinball"])
    for place, (family, metrics) in enumerate(ranked):
        cells = [form.format(metrics[name]) if name in metrics else "-" for name, (_, form) in columns.items()]
        spread = windows.get(family, {}).get("pinball_sd")
        cells.append("-" if spread is None else f"{spread:.3f}")
        cells.append(f"{metrics['pinball'] / naive - 1:+.0%}" if naive else "-")
        table.add_row(family, *cells, style="bold green" if place == 0 else None)
    output.print(table)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (features, train, combine, evaluate, optimize):
        app.command(command.__name__)(command)
