"""Airflow's folder in a workspace: its settings as variables, and the secrets made once. Airflow is not imported."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path

from restock.adapters.storage import read_json, write_json, write_text
from restock.errors import NotFoundError
from restock.settings import Settings

AIRFLOW_FOLDER = ".airflow"
ADMIN = "admin"
_PASSWORDS_FILE = "passwords.json"
_SECRETS_FILE = "secrets.json"
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# Tasks at a time: a training uses both cores of a small machine by itself.
_PARALLEL_TASKS = 2


@dataclass(frozen=True, kw_only=True)
class AirflowHome:
    """Airflow's folder, ready for use.

    Attributes:
        folder: the folder.
        passwords: file of the users' passwords, readable by its owner only.
        environment: what its components are started with.
        new_password: the administrator's password where it was made just now; None where it was known.
    """

    folder: Path
    passwords: Path
    environment: dict[str, str]
    new_password: str | None


def prepare_airflow_home(settings: Settings, *, dags: Path) -> AirflowHome:
    """Make Airflow's folder in the workspace, once with fresh secrets, and return how to start its components.

    Args:
        settings: the workspace, host and port.
        dags: folder of the DAG files.
    """
    folder = settings.home / AIRFLOW_FOLDER
    # Its database and logs hold what people wrote into forms.
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(_PRIVATE_FOLDER)
    new_password = _seed_password(folder / _PASSWORDS_FILE)
    kept = _seed_secrets(folder / _SECRETS_FILE)
    address = f"http://{settings.host}:{settings.airflow_port}"
    environment = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(_PARALLEL_TASKS),
        "AIRFLOW__CORE__FERNET_KEY": kept["fernet_key"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / _PASSWORDS_FILE),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__API__HOST": settings.host,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt_secret"],
        "AIRFLOW__API__SECRET_KEY": kept["api_secret"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "RESTOCK_WORKSPACE": str(settings.home),
    }
    return AirflowHome(
        folder=folder, passwords=folder / _PASSWORDS_FILE, environment=environment, new_password=new_password
    )


def _seed_password(path: Path) -> str | None:
    """Write the administrator's password where there is none yet, and return it then."""
    if path.exists():
        return None
    password = secrets.token_urlsafe(12)
    write_json(path, {ADMIN: password}, mode=_PRIVATE)
    return password


def _seed_secrets(path: Path) -> dict[str, str]:
    """Return the secrets that Airflow's components share, made at the first time."""
    try:
        kept: dict[str, str] = read_json(path)
    except NotFoundError:
        kept = {
            "jwt_secret": secrets.token_urlsafe(48),
            "api_secret": secrets.token_urlsafe(48),
            # What cryptography's Fernet takes: 32 random bytes, base64.
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        write_json(path, kept, mode=_PRIVATE)
        write_text(path.parent / ".gitignore", "*\n")
    return kept
