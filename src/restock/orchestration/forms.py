"""The forms of the DAGs: what can be asked for, with bounds and an explanation each, as Airflow shows them."""

from __future__ import annotations

from airflow.sdk import Param

from restock.adapters.registry import ModelType
from restock.adapters.run_workspace import LATEST_RUN
from restock.params import PARAMS_FILE, Params, read_params
from restock.settings import read_settings
from restock.tables import SOURCE_TABLES

# The types that a pipeline trains candidates of.
PROMOTABLE = (ModelType.DEMAND_FORECASTING, ModelType.OPTIMIZATION)


def read_home_params() -> Params:
    """Return the params of the workspace that Airflow works for: the forms' defaults.

    Raises:
        ConfigurationError: its params.yaml is missing or not valid.
    """
    return read_params(read_settings().home / PARAMS_FILE)


def as_of_form() -> dict[str, Param]:
    """Return the form of a DAG that works for one day."""
    return {
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description="Work as at the end of this day. Empty: the run's own day, or yesterday for a run by hand.",
        )
    }


def ingest_form() -> dict[str, Param]:
    """Return the form of ingestion."""
    return {
        "source": Param(
            "demo",
            type="string",
            minLength=1,
            title="Source",
            description="File, folder or URL to ingest, relative to the workspace; `demo`: the demo company. For a "
            "database env:NAME, the variable that holds its SQLAlchemy URL: no password is typed here.",
        ),
        "query": Param(
            None,
            type=["null", "string"],
            title="Query",
            description="For a database: the SELECT whose rows are the table named below. Empty for anything else.",
        ),
        "mapping": Param(
            None,
            type=["null", "string"],
            title="Mapping",
            description="YAML file with the names of the source's columns. Empty: they are ours.",
        ),
        "table": Param(
            None,
            type=["null", "string"],
            enum=[None, *SOURCE_TABLES],
            title="Table",
            description="What the files hold. Empty: told by each file's name, or by the mapping.",
        ),
        "format": Param(
            None,
            type=["null", "string"],
            title="Format",
            description="Layout of the source. Empty: told by its names. `restock ingest --help` lists them.",
        ),
    }


def training_form() -> dict[str, Param]:
    """Return the form of training; its defaults are the workspace's params."""
    params = read_home_params()
    families = list(params.forecasting.families)
    return {
        "horizon": Param(
            params.forecasting.horizon,
            type="integer",
            minimum=1,
            maximum=366,
            title="Horizon",
            description=f"{params.forecasting.frequency} periods to forecast.",
        ),
        "families": Param(
            families,
            type="array",
            items={"type": "string", "enum": families},
            minItems=1,
            examples=families,
            title="Families",
            description="Families to train. seasonal_naive is always trained: the others are measured against it.",
        ),
        "cutoffs": Param(
            params.backtest.n_windows,
            type="integer",
            minimum=1,
            maximum=60,
            title="Cutoffs",
            description="Back-test windows; more give a surer comparison and take longer.",
        ),
        "tune_trials": Param(
            0,
            type="integer",
            minimum=0,
            maximum=1_000,
            title="Tuning trials",
            description="Trials of a hyper-parameter search before each family is trained, judged on windows before "
            "the back-test; better values go into this run's params. 0: none.",
        ),
        "changes": Param(
            [],
            type="array",
            items={"type": "string", "pattern": r"^[A-Za-z_.]+=.+$"},
            title="More params",
            description="Any other param of params.yaml, one a line: families.xgboost.n_rounds=300",
        ),
    }


def training_run_form() -> dict[str, Param]:
    """Return the form of what works on a training run."""
    return {
        "run": Param(
            LATEST_RUN,
            type="string",
            minLength=1,
            title="Training run",
            description="Folder under .runs/ (the training's first task names it); `latest`: the last evaluated one.",
        )
    }


def promotion_form() -> dict[str, Param]:
    """Return the form of a promotion."""
    return {
        "model_type": _model_type(),
        "reason": _reason("Why this candidate is promoted; kept with the version for ever."),
        **training_run_form(),
        "family": Param(
            None,
            type=["null", "string"],
            title="Family",
            description="Which family. Empty: the one that the evaluation names as best.",
        ),
        "override": Param(
            None,
            type=["null", "string"],
            title="Override the gate",
            description="Leave empty. Why a candidate that the gate refuses is served all the same; kept for ever.",
        ),
    }


def rollback_form() -> dict[str, Param]:
    """Return the form of a rollback."""
    return {
        "model_type": _model_type(),
        "reason": _reason("Why the served version is taken back; kept for ever."),
        "version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Version",
            description="Number of the version to serve again. Empty: the one served before.",
        ),
    }


def _model_type() -> Param:
    return Param(
        ModelType.DEMAND_FORECASTING.value,
        type="string",
        enum=[each.value for each in PROMOTABLE],
        title="Model type",
        description="Folder under models/. The types that are trained so far.",
    )


def _reason(description: str) -> Param:
    # No default: a run that nobody gave a reason for does not start.
    return Param(type="string", minLength=5, pattern=r"\S", title="Reason", description=description)
