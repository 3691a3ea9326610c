"""The tasks that DAG files put in order: each is one of our commands with what the form holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import Asset, Context, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

from restock.adapters.registry import ModelType
from restock.adapters.run_workspace import find_run
from restock.adapters.workspace import project_root
from restock.errors import ConfigurationError
from restock.forecasting.search_space import SEARCH_SPACES
from restock.orchestration.commands import CommandOperator, home_folder, option, run_folder
from restock.orchestration.dags import DAY_EXTRA, day_of, who_triggered
from restock.orchestration.stage_graph import Stage, read_stage_graph
from restock.params import PARAMS_FILE, read_param_values
from restock.settings import read_settings

BASELINE = "seasonal_naive"
OPTIMIZE_STAGE = "optimize"


def ingest_task() -> CommandOperator:
    """Return the task that ingests the form's source as a batch."""

    def arguments(context: Context) -> list[str]:
        form = context["params"]
        fields = ("mapping", "table", "format", "query")
        options = [part for name in fields for part in option(f"--{name}", form[name])]
        _refuse_secrets(form["source"], has_query=bool(form["query"]))
        if form["query"]:
            return ["ingest", "--json", *options, f"--sql={form['source']}"]
        # "--" ends the options: a source is never taken for one.
        return ["ingest", "--json", *options, "--", form["source"]]

    return CommandOperator(task_id="ingest", arguments=arguments)


def _refuse_secrets(source: str, *, has_query: bool) -> None:
    """Refuse an address that may hold a secret: a form is kept in Airflow's database, and shows in its log.

    Raises:
        AirflowFailException: the source is such an address.
    """
    parts = urlsplit(source)
    if (has_query and not source.startswith("env:")) or "@" in parts.netloc or (parts.netloc and parts.query):
        raise AirflowFailException(
            "the source is an address that may hold a password or a signature. Put it into a variable of Airflow's "
            "environment and write env:NAME; object stores take their credentials from AWS_* and the like."
        )


def validate_task(*, outlets: list[Asset], task_id: str = "validate") -> CommandOperator:
    """Return the task that puts the workspace's batches together and checks them as a whole.

    The forecast service, the daily forecast and the monitoring read what it writes.
    """
    return CommandOperator(task_id=task_id, arguments=lambda _: ["validate", "--refresh", "--json"], outlets=outlets)


def training_tasks(*, final: str, outlets: list[Asset]) -> dict[str, CommandOperator]:
    """Return the tasks of a training, by name and in order: the run's workspace, then dvc.yaml's stages up to `final`.

    The stages are those of dvc.yaml and depend on one another as there. A member of a `foreach` that the form leaves
    out is skipped.

    Args:
        final: last stage of dvc.yaml; everything it depends on comes along.
        outlets: assets that the last stage updates.
    """
    home = read_settings().home
    stages = read_stage_graph(project_root() / "dvc.yaml", params=read_param_values(home / PARAMS_FILE), final=final)
    made = {
        "prepare": CommandOperator(
            task_id="prepare",
            doc_md="Makes the run's own workspace under .runs/ with the form's params and the batches of now.",
            arguments=_prepare_arguments,
            folder=home_folder,
        )
    }
    # What is served forecasts from the history in the home, which may have grown by hand since the last ingestion here.
    made["refresh_history"] = validate_task(outlets=[], task_id="refresh_history")
    made["prepare"] >> made["refresh_history"]
    made["tune"] = _tune_task()
    for stage in stages:
        made[stage.name] = _stage_task(stage, outlets=outlets if stage.name == final else [])
        for before in stage.upstream or ("prepare",):
            made[before] >> made[stage.name]
        if stage.item in SEARCH_SPACES:
            made["tune"] >> made[stage.name]
    made["features"] >> made["tune"]
    return made


def _prepare_arguments(context: Context) -> list[str]:
    form = context["params"]
    families = [BASELINE, *(family for family in form["families"] if family != BASELINE)]
    changes = [
        f"forecasting.horizon={form['horizon']}",
        f"forecasting.families=[{', '.join(families)}]",
        f"backtest.n_windows={form['cutoffs']}",
        *form["changes"],
    ]
    home = home_folder(context)
    return [
        "workspace",
        "create",
        f"--from={home}",
        *(f"--set={change}" for change in changes),
        "--",
        str(run_folder(context)),
    ]


def _tune_task() -> CommandOperator:
    """Return the task that searches the params of the form's families and writes what is better into the run's own."""

    def chosen(context: Context) -> list[str]:
        return [family for family in context["params"]["families"] if family in SEARCH_SPACES]

    def skip(context: Context) -> str | None:
        if not context["params"]["tune_trials"]:
            return "the form asks for no trials"
        return None if chosen(context) else "none of the families has anything to search"

    return CommandOperator(
        task_id="tune",
        doc_md="Searches the families' params in the run's workspace: `restock tune --apply`.",
        arguments=lambda context: [
            "tune",
            f"--trials={context['params']['tune_trials']}",
            "--apply",
            "--json",
            *chosen(context),
        ],
        folder=run_folder,
        skip=skip,
    )


def _stage_task(stage: Stage, *, outlets: list[Asset]) -> CommandOperator:
    """Return the task of one stage in the run's workspace."""

    def skip(context: Context) -> str | None:
        chosen = [BASELINE, *context["params"]["families"]]
        if stage.item is None or stage.item in chosen:
            return None
        return f"{stage.item} was not chosen in the form"

    return CommandOperator(
        task_id=stage.name.replace("@", "."),
        doc_md=f"`dvc repro --single-item {stage.name}`: {stage.description}",
        module="dvc",
        # Stages that run side by side wait for each other's short looks at dvc.lock.
        arguments=lambda _: ["--wait-for-lock", "repro", "--single-item", stage.name],
        folder=run_folder,
        skip=skip,
        outlets=outlets,
        # What was left out is skipped, and must not take along what follows it.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )


def promote_task(*, outlets: list[Asset]) -> CommandOperator:
    """Return the task that promotes the form's candidate past the gate."""

    def arguments(context: Context) -> list[str]:
        form = context["params"]
        return [
            "promote",
            _require_type(form["model_type"]),
            f"--reason={form['reason'].strip()}",
            f"--run={form['run']}",
            *option("--family", form["family"]),
            *option("--override", form["override"]),
            f"--by={who_triggered(context)}",
            "--json",
        ]

    return CommandOperator(task_id="promote", arguments=arguments, outlets=outlets)


def rollback_task(*, outlets: list[Asset]) -> CommandOperator:
    """Return the task that serves an earlier version again."""

    def arguments(context: Context) -> list[str]:
        form = context["params"]
        return [
            "rollback",
            _require_type(form["model_type"]),
            f"--reason={form['reason'].strip()}",
            *option("--to", form["version"]),
            f"--by={who_triggered(context)}",
            "--json",
        ]

    return CommandOperator(task_id="rollback", arguments=arguments, outlets=outlets)


def forecast_task(*, outlets: list[Asset]) -> CommandOperator:
    """Return the task that keeps the forecast of the run's day."""
    return CommandOperator(
        task_id="forecast",
        arguments=lambda context: ["forecast", f"--as-of={day_of(context).isoformat()}", "--json"],
        outlets=outlets,
        tell=lambda context: {DAY_EXTRA: day_of(context).isoformat()},
    )


def plan_task(*, outlets: list[Asset]) -> CommandOperator:
    """Return the task that plans the run's day and drafts its purchase orders."""
    return CommandOperator(
        task_id="plan",
        arguments=lambda context: [
            "replenish",
            "plan",
            f"--as-of={day_of(context).isoformat()}",
            "--draft-orders",
            "--json",
        ],
        outlets=outlets,
        tell=lambda context: {DAY_EXTRA: day_of(context).isoformat()},
    )


def optimize_task(*, outlets: list[Asset]) -> CommandOperator:
    """Return the task that tunes the planner's policy in the workspace of the form's training run."""

    def folder(context: Context) -> Path:
        return find_run(home_folder(context), context["params"]["run"])

    return CommandOperator(
        task_id=OPTIMIZE_STAGE,
        doc_md=f"`dvc repro --single-item {OPTIMIZE_STAGE}` in the training run's workspace.",
        module="dvc",
        arguments=lambda _: ["--wait-for-lock", "repro", "--single-item", OPTIMIZE_STAGE],
        folder=folder,
        outlets=outlets,
    )


def monitor_task() -> CommandOperator:
    """Return the task that judges the served version as of the run's day."""
    return CommandOperator(
        task_id="monitor", arguments=lambda context: ["monitor", f"--as-of={day_of(context).isoformat()}", "--json"]
    )


def request_retraining_task(report: CommandOperator, *, outlets: list[Asset]) -> Any:
    """Return the tasks that ask for training anew where `report` says so; otherwise they are skipped."""

    @task.short_circuit(task_id="is_retraining_needed")
    def is_needed(answer: dict[str, Any]) -> bool:
        # A day that is judged long after it, by a backfill, says nothing about today's model.
        return bool(answer["requests_retraining"] and answer["is_latest"])

    @task(task_id="request_retraining", outlets=outlets)
    def request(answer: dict[str, Any]) -> list[str]:
        breached: list[str] = answer["breached"]
        return breached

    return is_needed(report.output) >> request(report.output)


def _require_type(model_type: str) -> str:
    if model_type not in set(ModelType):
        raise ConfigurationError(f"model_type must be one of {', '.join(ModelType)}, got {model_type!r}.")
    return model_type
