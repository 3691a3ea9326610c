"""Workspaces: folders of their own in which a run writes everything, beside a checkout that stays clean."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import restock
from restock.adapters.storage import write_json, write_text
from restock.errors import TRY_AGAIN, ConfigurationError, RestockError
from restock.params import PARAMS_FILE, parse_params, read_param_values

logger = logging.getLogger(__name__)

# What a workspace inside somebody's repository must not bring into it: secrets, data and what can be made again.
_IGNORED = """\
secrets/
.airflow/
.cache/
.dvc/cache
.dvc/tmp
.dvcstore/
.runs/
logs/
mlartifacts/
mlflow.db*
ledger.db*
data/raw/*/
data/rejected/*/
data/truth/
data/validated/
data/features/
data/candidates/
data/combined/
data/reports/
data/tuning/
data/forecasts/
data/alerts/
"""
_CODE_LINE = "  - code: src/restock\n"


def project_root() -> Path:
    """Return the checkout that the installed package belongs to.

    Raises:
        ConfigurationError: the package was not installed from a checkout (`pip install -e .`).
    """
    root = Path(restock.__file__).resolve().parents[2]
    if not (root / "dvc.yaml").is_file():
        raise ConfigurationError(
            f"{root} holds no dvc.yaml: restock was not installed from a checkout. Install it there: make setup."
        )
    return root


class DvcError(RestockError):
    """DVC failed: a lock, a disk, a remote; the same may work a little later."""

    exit_code = TRY_AGAIN


def run_dvc(arguments: list[str], *, folder: Path) -> str:
    """Run a DVC command in `folder`, its telemetry off, and return what it printed.

    Raises:
        RestockError: DVC failed; its own words are in the message.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=_dvc_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise DvcError(f"`dvc {' '.join(arguments)}` failed in {folder} with exit code {done.returncode}: {words}")
    return done.stdout


def stream_dvc(arguments: list[str], *, folder: Path) -> None:
    """Run a DVC command in `folder` for someone who watches: its output and progress go to the terminal.

    Raises:
        RestockError: DVC or the stage it ran failed; the reason stands in the output above.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=_dvc_environment(folder), check=False
    )
    if done.returncode:
        raise RestockError(
            f"`dvc {' '.join(arguments)}` failed in {folder} with exit code {done.returncode}; see its output above."
        )


def _dvc_environment(folder: Path) -> dict[str, str]:
    """Return the environment for DVC and the stages it runs in `folder`, whatever workspace the caller's names.

    Telemetry is off, and `restock` is found whether or not this interpreter's environment is activated.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": path, "RESTOCK_WORKSPACE": str(folder.resolve())}


def create_workspace(folder: Path, *, profile: str | None = None) -> None:
    """Make `folder` a workspace: params.yaml, dvc.yaml, an empty batch list and DVC; again changes only what differs.

    Args:
        folder: where; made if missing.
        profile: profile of the checkout's params.yaml to lay over its values.

    Raises:
        ConfigurationError: the profile is unknown, or the merged params are not valid.
    """
    root = project_root()
    values = read_param_values(root / PARAMS_FILE, profile=profile)
    parse_params(values, origin=f"{root / PARAMS_FILE} with profile {profile}")
    if not (folder / "data" / "batches.json").exists():
        write_json(folder / "data" / "batches.json", {"batches": []})
    write_pipeline(folder, values)
    logger.info("workspace %s is ready (profile %s)", folder, profile or "none")


def write_pipeline(folder: Path, values: Mapping[str, Any]) -> None:
    """Put the checkout's pipeline into `folder` with its own param values, under DVC; changes only what differs.

    Raises:
        ConfigurationError: the checkout's dvc.yaml does not say where the code is.
        RestockError: DVC failed.
    """
    root = project_root()
    _write_if_changed(folder / ".gitignore", _IGNORED)
    _write_if_changed(folder / PARAMS_FILE, yaml.safe_dump(values, sort_keys=False, width=120))
    source = root / "src" / "restock"
    # Elsewhere by its full path: DVC runs queued experiments in a folder deeper down, where ../ leads astray.
    code = os.path.relpath(source, folder) if folder.resolve().is_relative_to(root) else str(source)
    pipeline = (root / "dvc.yaml").read_text(encoding="utf-8")
    if _CODE_LINE not in pipeline:
        raise ConfigurationError(f"{root / 'dvc.yaml'} has no line {_CODE_LINE.strip()!r}, which a workspace replaces.")
    _write_if_changed(folder / "dvc.yaml", pipeline.replace(_CODE_LINE, f"  - code: {code}\n"))
    if not (folder / ".dvc").exists():
        run_dvc(["init", "--no-scm", "--quiet"], folder=folder)
        for key in ("core.analytics", "core.check_update"):
            run_dvc(["config", key, "false"], folder=folder)
        run_dvc(["remote", "add", "--default", "local", ".dvcstore"], folder=folder)


def _write_if_changed(path: Path, content: str) -> None:
    """Write only a file whose content differs, so that DVC sees no change where there is none."""
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        write_text(path, content)
