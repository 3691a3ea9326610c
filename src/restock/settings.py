"""Where things run: paths, addresses and limits, from RESTOCK_* variables; nothing here changes results."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from restock.errors import ConfigurationError

WORKSPACE_MARKS = ("params.yaml", "dvc.yaml")
# In the workspace of a single run: a file that names its home, the workspace whose models and runs it shares.
HOME_FILE = ".restock-home"
# Where DVC runs queued experiments, under the folder that holds `.dvc`.
_EXPERIMENTS_FOLDER = (".dvc", "tmp", "exps")


def find_workspace(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds params.yaml and dvc.yaml, or `start` itself."""
    for folder in (start, *start.parents):
        if all((folder / mark).is_file() for mark in WORKSPACE_MARKS):
            return folder
    return start


def find_experiment_home(folder: Path) -> Path | None:
    """Return the workspace whose queued experiment runs in `folder`; None where none does.

    Example:
        >>> find_experiment_home(Path("/shop/.dvc/tmp/exps/tmp1a2b")), find_experiment_home(Path("/shop/data"))
        (PosixPath('/shop'), None)
    """
    for inner in (folder, *folder.parents):
        if inner.parts[-3:] == _EXPERIMENTS_FOLDER:
            return inner.parents[2]
    return None


class Settings(BaseSettings):
    """Where things run; each field is set by `RESTOCK_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="RESTOCK_", frozen=True, extra="ignore")

    workspace: Path = Field(
        default_factory=lambda: find_workspace(Path.cwd()), description="Folder that everything a run writes lives in."
    )
    mlflow_tracking_uri: SecretStr | None = Field(
        default=None, description="MLflow server or database; default: sqlite in the workspace."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Database of ledger, users and tokens (SQLite or PostgreSQL); default: SQLite in the workspace.",
    )
    oidc_issuer: str | None = Field(
        default=None, description="OpenID Connect issuer whose signed tokens are let in; default: none."
    )
    oidc_audience: str | None = Field(default=None, description="Audience that the issuer's tokens must be for.")
    oidc_role_claim: str = Field(
        default="roles", description="Claim of the issuer's tokens that says the role; dots lead into objects."
    )
    oidc_roles: dict[str, str] = Field(
        default_factory=dict, description="Role by value of that claim, as JSON; the first that fits counts."
    )
    host: str = Field(default="127.0.0.1", description="Address the services listen on.")
    forecast_port: int = Field(default=3001, ge=1, le=65535, description="Port of the forecast service.")
    planning_port: int = Field(default=3002, ge=1, le=65535, description="Port of the planning service.")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="Port of the MLflow UI of `restock up`.")
    airflow_port: int = Field(default=8080, ge=1, le=65535, description="Port of the Airflow UI of `restock up`.")
    orchestration_run: str | None = Field(
        default=None, description="Airflow run (dag/run id) that started this; kept with MLflow runs and versions."
    )
    max_body_bytes: int = Field(default=2_000_000, ge=1_000, description="Largest request body a service reads.")
    max_upload_bytes: int = Field(
        default=64_000_000, ge=1_000, description="Largest file that the planning service takes."
    )
    requests_per_second: int = Field(
        default=200, ge=1, le=100_000, description="How often one caller may ask the planning service, on the average."
    )
    max_unpacked_bytes: int = Field(
        default=8 << 30, ge=1_000, description="Most bytes that one source may unpack or be fetched to."
    )
    reload_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="How often a service looks for a newly promoted version."
    )
    webhooks_allow_local: bool = Field(
        default=False, description="Webhooks may go to this machine (loopback), also over http; for tests and trials."
    )
    erpnext_url: str | None = Field(default=None, description="Address of an ERPNext site, such as https://HOST.")
    erpnext_key: SecretStr | None = Field(default=None, description="API key of the ERPNext user restock acts as.")
    erpnext_secret: SecretStr | None = Field(default=None, description="API secret of that user.")
    odoo_url: str | None = Field(default=None, description="Address of an Odoo server, such as https://HOST.")
    odoo_database: str | None = Field(default=None, description="Odoo's database.")
    odoo_username: str | None = Field(default=None, description="Login of the Odoo user restock acts as.")
    odoo_password: SecretStr | None = Field(default=None, description="Password or API key of that user.")
    erp_allow_http: bool = Field(
        default=False, description="Talk to an ERP elsewhere without encryption; only on a network that is trusted."
    )
    keras_backend: Literal["tensorflow", "torch"] = Field(
        default="tensorflow", description="What trains the neural family; it is served by TensorFlow either way."
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Log level.")

    @cached_property
    def root(self) -> Path:
        """The workspace as an absolute path."""
        return self.workspace.expanduser().resolve()

    @cached_property
    def home(self) -> Path:
        """The workspace that holds models, tokens and runs: this one, or the one that a run's workspace belongs to.

        An experiment that DVC took from its queue runs in a folder that is removed afterwards: its home is the
        workspace that queued it, so that its MLflow runs stay.
        """
        mark = self.root / HOME_FILE
        if not mark.is_file():
            return find_experiment_home(self.root) or self.root
        return (self.root / mark.read_text(encoding="utf-8").strip()).resolve()

    @property
    def params_file(self) -> Path:
        """The workspace's params.yaml."""
        return self.root / "params.yaml"

    @property
    def data_dir(self) -> Path:
        """Folder of the DVC-tracked data: raw, rejected, validated, features, candidates, reports."""
        return self.root / "data"

    @property
    def models_dir(self) -> Path:
        """Folder of the promoted model versions."""
        return self.home / "models"

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking address; by default a database in the home workspace."""
        if self.mlflow_tracking_uri is not None:
            return self.mlflow_tracking_uri.get_secret_value()
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def ledger_url(self) -> str:
        """Address of the database of the ledger, users and tokens; by default a file in the home workspace."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def secrets_dir(self) -> Path:
        """Folder of what must stay with its owner, in the home workspace."""
        return self.home / "secrets"


def read_settings() -> Settings:
    """Return the settings in force.

    Raises:
        ConfigurationError: a RESTOCK_* variable is out of bounds or of the wrong type, or names another workspace than
            the one that DVC runs an experiment in.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"RESTOCK_{str(f['loc'][0]).upper()}: {f['msg']} (got {f['input']!r})" for f in error.errors()
        )
        raise ConfigurationError(f"settings are not valid: {faults}") from error
    except SettingsError as error:
        raise ConfigurationError(f"settings are not valid: {error}. RESTOCK_OIDC_ROLES is JSON.") from error
    here = Path.cwd()
    if find_experiment_home(here) is not None and find_experiment_home(settings.root) is None:
        raise ConfigurationError(
            f"RESTOCK_WORKSPACE is {settings.root}, but DVC runs this experiment in {here} and looks for its results "
            "there. Start the queue without it: env -u RESTOCK_WORKSPACE dvc queue start."
        )
    return settings
