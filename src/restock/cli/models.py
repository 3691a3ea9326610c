"""`restock promote`, `rollback` and `models`: which model version is served, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from restock.adapters.registry import ModelType
from restock.cli.console import messages, output, print_json, show_progress
from restock.errors import ConfigurationError, NotFoundError
from restock.params import ModelName, Params, read_params
from restock.settings import Settings, read_settings

if TYPE_CHECKING:
    from restock.operations.promotion_steps import PromotionResult
    from restock.operations.version_table import VersionRow

_ModelType = Annotated[ModelType, typer.Argument(help="Type of model.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
_By = Annotated[str | None, typer.Option("--by", help="Who; default: the account that runs the command.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_STEP_LINES = {
    "tidy": "tidied up after earlier promotions",
    "gate": "asked the gate",
    "register": "registered in MLflow",
    "build": "built the version: model, golden forecasts, metrics, model card",
    "seal": "sealed it with checksums",
    "publish": "published it under its number",
    "track": "handed it to DVC, where there is DVC",
    "check": "checked the version's files and golden forecasts",
    "serve": "current.json names it: it is served",
    "mirror": "MLflow's aliases follow",
}


def promote(
    model_type: _ModelType,
    reason: _Reason,
    *,
    family: Annotated[
        str | None, typer.Option("--family", help="Which family; default: the best one, as evaluation found.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Run under .runs/ with the candidate, or `latest`; default: this workspace."),
    ] = None,
    by: _By = None,
    override: Annotated[
        str | None, typer.Option("--override", help="Promote although the gate refuses, and why; kept for ever.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Promote a candidate: past the gate it becomes the next version, and is served.

    Example: restock promote demand_forecasting --reason "November's data"
    """
    if model_type not in (ModelType.DEMAND_FORECASTING, ModelType.OPTIMIZATION):
        raise NotFoundError(
            f"no stage makes candidates of {model_type} yet, only of {ModelType.DEMAND_FORECASTING} and "
            f"{ModelType.OPTIMIZATION}."
        )
    settings = read_settings()
    if run is not None:
        from restock.adapters.run_workspace import find_run

        settings = Settings(workspace=find_run(settings.home, run))
    result = promote_candidate(
        settings,
        read_params(settings.params_file),
        model_type=model_type,
        reason=reason,
        promoted_by=by,
        family=_parse_family(family),
        override=override,
    )
    if as_json:
        print_json(
            {
                "model_type": model_type,
                "version": result.version,
                "previous": result.previous,
                "family": result.family,
                "gate": result.verdict.to_json(),
                "override": result.override,
                "metrics": result.metrics,
                "warnings": result.warnings,
            }
        )


def promote_candidate(
    settings: Settings,
    params: Params,
    *,
    reason: str,
    model_type: ModelType = ModelType.DEMAND_FORECASTING,
    promoted_by: str | None = None,
    family: ModelName | None = None,
    override: str | None = None,
) -> PromotionResult:
    """Promote a candidate, showing every step and the gate's figures, and return what was promoted.

    Raises:
        RestockError: see `restock.operations.promote.promote` and `promote_policy`.
    """
    from restock.adapters.provenance import who_runs_this
    from restock.operations.promote import promote as promote_model
    from restock.operations.promotion_steps import PromotionRequest

    request = PromotionRequest(
        reason=reason, promoted_by=promoted_by or who_runs_this(), family=family, override=override
    )
    now = datetime.now(UTC)
    if model_type is ModelType.OPTIMIZATION:
        from restock.operations.replenishment.promote_policy import promote_policy

        result = promote_policy(settings, params, request, now=now, after_step=_print_step)
    else:
        with show_progress("back-test of the served recipe") as advance:
            result = promote_model(settings, params, request, now=now, after_step=_print_step, on_progress=advance)
    for condition in result.verdict.conditions:
        word = {True: "passed", False: "FAILED", None: "not available"}[condition.has_passed]
        messages.print(f"  gate: {condition.name}: {word}: {condition.detail}", highlight=False, markup=False)
    if result.override:
        messages.print(f"  the gate's refusal was overridden: {result.override}", highlight=False, markup=False)
    _print_warnings(result.warnings)
    before = "the first" if result.previous is None else f"after version {result.previous}"
    messages.print(f"version {result.version} ({result.family}) is served, {before}", highlight=False)
    return result


def rollback(
    model_type: _ModelType,
    reason: _Reason,
    *,
    to: Annotated[int | None, typer.Option("--to", help="Which version; default: the one served before.")] = None,
    by: _By = None,
    as_json: _Json = False,
) -> None:
    """Serve the previous version again, or one named by --to.

    Example: restock rollback demand_forecasting --reason "version 4 over-forecasts bread"
    """
    from restock.adapters.provenance import who_runs_this
    from restock.operations.rollback import roll_back

    result = roll_back(
        read_settings(),
        model_type,
        reason=reason,
        rolled_back_by=by or who_runs_this(),
        now=datetime.now(UTC),
        to=to,
        after_step=_print_step,
    )
    _print_warnings(result.warnings)
    if as_json:
        print_json(
            {
                "model_type": model_type,
                "version": result.version,
                "previous": result.previous,
                "warnings": result.warnings,
            }
        )
    else:
        messages.print(f"version {result.version} is served again, instead of {result.previous}", highlight=False)


def models(
    model_type: Annotated[ModelType | None, typer.Argument(help="Type of model; default: all.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Bring MLflow's aliases in line with current.json.")] = False,
    as_json: _Json = False,
) -> None:
    """List the model versions: metrics, who promoted them, when and why, and which is served."""
    from restock.operations.version_table import list_version_rows

    settings = read_settings()
    wanted = tuple(ModelType) if model_type is None else (model_type,)
    if repair:
        _repair(settings, wanted)
    rows = {each: list_version_rows(settings.models_dir, each) for each in wanted}
    if as_json:
        print_json([row.to_json() for versions in rows.values() for row in versions])
        return
    for each, versions in rows.items():
        if versions:
            output.print(_version_table(each, versions))
    if not any(rows.values()):
        messages.print("no version was promoted yet; next: restock promote demand_forecasting --reason ...")


def _repair(settings: Settings, model_types: tuple[ModelType, ...]) -> None:
    from restock.adapters.registry import change_lock, read_current
    from restock.adapters.tracking import tracking_place
    from restock.operations.mirror import repair_mirror

    for model_type in model_types:
        if read_current(settings.models_dir, model_type) is None:
            continue
        with change_lock(settings.models_dir, model_type):
            changed = repair_mirror(settings.models_dir, model_type, place=tracking_place(settings))
        words = f"set anew: {', '.join(changed)}" if changed else "nothing to repair"
        messages.print(f"{model_type}: MLflow's aliases: {words}", highlight=False)


def _version_table(model_type: str, rows: list[VersionRow]) -> Table:
    """Return the versions of a type for people, the served one marked."""
    table = Table(
        title=f"{model_type} (change against the baseline in brackets, times in UTC)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for column in ("version", "state", "family", "cutoff", "pinball", "WAPE"):
        # Figures may take two lines, so that who, when and why stay on a narrow terminal.
        is_figure = column in ("pinball", "WAPE")
        is_number = is_figure or column == "version"
        table.add_column(column, justify="right" if is_number else "left", no_wrap=not is_figure)
    table.add_column("promoted", overflow="fold", min_width=16)
    for row in rows:
        overridden = "" if row.override is None else f" (the gate was overridden: {row.override})"
        cells = (
            row.version,
            row.state,
            row.family,
            row.cutoff,
            _beside(row.pinball, row.baseline_pinball, "{:.3f}"),
            _beside(row.wape, row.baseline_wape, "{:.1%}"),
            f"{row.created_at_utc[:16].replace('T', ' ')} by {row.promoted_by}: {row.reason}{overridden}",
        )
        table.add_row(*(escape(str(cell)) for cell in cells), style="bold green" if row.state == "served" else None)
    return table


def _beside(value: float | None, baseline: float | None, form: str) -> str:
    if value is None:
        return "-"
    return form.format(value) + (f" ({value / baseline - 1:+.0%})" if baseline else "")


def _print_step(name: str) -> None:
    messages.print(f"  {name}: {_STEP_LINES[name]}", highlight=False)


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        messages.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)


def _parse_family(family: str | None) -> ModelName | None:
    for known in get_args(ModelName):
        if known == family:
            name: ModelName = known
            return name
    if family is not None:
        raise ConfigurationError(f"family must be one of {', '.join(get_args(ModelName))}, got {family!r}.")
    return None


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (promote, rollback, models):
        app.command(command.__name__)(command)
